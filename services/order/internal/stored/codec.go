package stored

import (
	"context"
	"encoding/json"
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
	Cancelled  = "order-cancelled"
)

type moneyV1 struct {
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

type lineV1 struct {
	SKU       string  `json:"sku"`
	Name      string  `json:"name"`
	Quantity  int64   `json:"quantity"`
	UnitPrice moneyV1 `json:"unitPrice"`
}

type placedV1 struct {
	CustomerID string    `json:"customerId"`
	Lines      []lineV1  `json:"lines"`
	Total      moneyV1   `json:"total"`
	PlacedAt   time.Time `json:"placedAt"`
}

type packedV1 struct {
	PackedAt time.Time `json:"packedAt"`
}

type dispatchedV1 struct {
	DispatchedAt time.Time `json:"dispatchedAt"`
}

type cancelledV1 struct {
	CustomerID  string    `json:"customerId"`
	Reason      string    `json:"reason"`
	By          string    `json:"by"`
	CancelledAt time.Time `json:"cancelledAt"`
}

// Codec writes and reads the events of orders. It has no state.
type Codec struct{}

// Encode writes an event in the newest version of its schema.
func (Codec) Encode(_ context.Context, _ uuid.UUID, event domain.Event) (es.Encoded, error) {
	switch e := event.(type) {
	case domain.Placed:
		lines := make([]lineV1, len(e.Lines))
		for i, line := range e.Lines {
			lines[i] = lineV1{line.SKU, line.Name, line.Quantity, moneyV1(line.UnitPrice)}
		}
		return encoded(Placed, 1, placedV1{e.CustomerID, lines, moneyV1(e.Total), e.At})
	case domain.Packed:
		return encoded(Packed, 1, packedV1{e.At})
	case domain.Dispatched:
		return encoded(Dispatched, 1, dispatchedV1{e.At})
	case domain.Cancelled:
		return encoded(Cancelled, 1, cancelledV1{e.CustomerID, e.Reason, string(e.By), e.At})
	default:
		return es.Encoded{}, fmt.Errorf("no stored form of %T", event)
	}
}

func encoded(typ string, version int, data any) (es.Encoded, error) {
	text, err := json.Marshal(data)
	return es.Encoded{Type: typ, Version: version, Data: text}, err
}

// Decode reads every version ever written.
func (Codec) Decode(_ context.Context, r es.Recorded) ([]domain.Event, error) {
	event, err := read(r)
	if err != nil {
		return nil, err
	}
	return []domain.Event{event}, nil
}

func read(r es.Recorded) (domain.Event, error) {
	switch r.Type {
	case Placed:
		var data placedV1
		if err := decode(r, &data); err != nil {
			return nil, err
		}
		lines := make([]domain.Line, len(data.Lines))
		for i, line := range data.Lines {
			lines[i] = domain.Line{SKU: line.SKU, Name: line.Name, Quantity: line.Quantity, UnitPrice: domain.Money(line.UnitPrice)}
		}
		return domain.Placed{CustomerID: data.CustomerID, Lines: lines, Total: domain.Money(data.Total), At: data.PlacedAt}, nil
	case Packed:
		var data packedV1
		err := decode(r, &data)
		return domain.Packed{At: data.PackedAt}, err
	case Dispatched:
		var data dispatchedV1
		err := decode(r, &data)
		return domain.Dispatched{At: data.DispatchedAt}, err
	case Cancelled:
		var data cancelledV1
		err := decode(r, &data)
		return domain.Cancelled{
			CustomerID: data.CustomerID, Reason: data.Reason, By: domain.Canceller(data.By), At: data.CancelledAt,
		}, err
	default:
		return nil, fmt.Errorf("unknown event type %q", r.Type)
	}
}

func decode(r es.Recorded, data any) error {
	if r.Unreadable != nil {
		return fmt.Errorf("%s: %w", r.Type, r.Unreadable)
	}
	if r.Metadata.Version != 1 {
		return fmt.Errorf("%s: unknown version %d", r.Type, r.Metadata.Version)
	}
	if err := json.Unmarshal(r.Data, data); err != nil {
		return fmt.Errorf("%s version %d: %w", r.Type, r.Metadata.Version, err)
	}
	return nil
}
