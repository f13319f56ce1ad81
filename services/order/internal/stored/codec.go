package stored

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"orderflow/pkg/es"
	"orderflow/services/order/internal/domain"
)

// The names of the stored events.
const (
	Placed     = "order-placed"
	Packed     = "order-packed"
	Dispatched = "order-dispatched"
	Rejected   = "order-rejected"
	Cancelled  = "order-cancelled"
)

// schemas is every version that was ever written.
var schemas = [...]es.Schema{
	{Type: Placed, Upcasters: []es.Upcaster{es.UpcastFrom(upcastPlacedV1)}},
	{Type: Packed},
	{Type: Dispatched},
	{Type: Rejected},
	{Type: Cancelled, Upcasters: []es.Upcaster{es.UpcastFrom(upcastCancelledV1)}},
}

// Schemas is every version that was ever written, for a test to hold against
// the goldens.
func Schemas() es.Schemas { return schemas[:] }

type packedV1 struct {
	PackedAt time.Time `json:"packedAt"`
}

type dispatchedV1 struct {
	DispatchedAt time.Time `json:"dispatchedAt"`
}

// Codec writes and reads the events of orders. It has no state.
type Codec struct{}

// Encode writes an event in the newest version of its schema.
func (Codec) Encode(_ context.Context, _ uuid.UUID, event domain.Event) (es.Encoded, error) {
	switch e := event.(type) {
	case domain.Placed:
		return encodePlaced(e)
	case domain.Packed:
		return encoded(Packed, 1, packedV1{e.At})
	case domain.Dispatched:
		return encoded(Dispatched, 1, dispatchedV1{e.At})
	case domain.Rejected:
		return encoded(Rejected, 1, rejectedV1{e.Reason, e.At})
	case domain.Cancelled:
		return encoded(Cancelled, 2, cancelledV2{e.CustomerID, e.Reason, string(e.By), e.At})
	default:
		return es.Encoded{}, fmt.Errorf("no stored form of %T", event)
	}
}

func encoded(typ string, version int, data any) (es.Encoded, error) {
	text, err := json.Marshal(data)
	return es.Encoded{Type: typ, Version: version, Data: text}, err
}

// Decode reads every version ever written: old ones are upcast first.
func (Codec) Decode(_ context.Context, r es.Recorded) ([]domain.Event, error) {
	current, err := Schemas().Upcast(r)
	if err != nil {
		return nil, err
	}
	events := make([]domain.Event, len(current))
	for i, c := range current {
		if events[i], err = decode(c); err != nil {
			return nil, fmt.Errorf("%s version %d: %w", c.Type, c.Version, err)
		}
	}
	return events, nil
}

// decode reads the newest version of an event. JSON reads as anything: {} would
// be an order by nobody at no time. So what every event of a type says has to be
// there.
func decode(c es.Encoded) (domain.Event, error) {
	switch c.Type {
	case Placed:
		var data placedV2
		err := read(c.Data, &data, &data.PlacedAt)
		if err == nil && (data.CustomerID == "" || data.Currency == "" || len(data.Lines) == 0) {
			err = errors.New("customer, currency or lines missing")
		}
		return data.event(), err
	case Packed:
		var data packedV1
		err := read(c.Data, &data, &data.PackedAt)
		return domain.Packed{At: data.PackedAt}, err
	case Dispatched:
		var data dispatchedV1
		err := read(c.Data, &data, &data.DispatchedAt)
		return domain.Dispatched{At: data.DispatchedAt}, err
	case Rejected:
		var data rejectedV1
		err := read(c.Data, &data, &data.RejectedAt)
		return domain.Rejected{Reason: data.Reason, At: data.RejectedAt}, err
	case Cancelled:
		var data cancelledV2
		err := read(c.Data, &data, &data.CancelledAt)
		if err == nil && (data.CustomerID == "" || data.By == "") {
			err = errors.New("customer, or who cancelled it, missing")
		}
		return domain.Cancelled{
			CustomerID: data.CustomerID, Reason: data.Reason, By: domain.Canceller(data.By), At: data.CancelledAt,
		}, err
	default:
		return nil, errors.New("no event is stored as this")
	}
}

// read reads data, of which at is the time that every event has.
func read(text []byte, data any, at *time.Time) error {
	err := json.Unmarshal(text, data)
	if err == nil && at.IsZero() {
		err = errors.New("its time is missing")
	}
	return err
}
