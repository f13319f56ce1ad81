package verify

import (
	"encoding/json"
	"fmt"
	"time"

	"orderflow/pkg/es"
	"orderflow/pkg/service"
)

// truth is what was committed about one subject: an order or a customer as their
// streams say, a product as the catalog, which is its source, says.
type truth struct {
	Kind    string `json:"-"`
	Subject string `json:"-"`
	// Revision is that of the last event; for a product, its version.
	Revision int64 `json:"revision"`
	// ChangedAt is when that was committed, in microseconds.
	ChangedAt int64 `json:"changedAt"`
	// Announced is the revision of the last event that others are told of by the
	// order service; -1 is none.
	Announced int64 `json:"announced"`

	Customer string `json:"customer,omitempty"`
	Lines    string `json:"lines,omitempty"`
	Amount   int64  `json:"amount,omitempty"`
	Currency string `json:"currency,omitempty"`
	// Facts are what happened to an order, in the order of the constants below.
	Facts [facts]fact `json:"facts,omitzero"`
	// Rejected says that it was packing that cancelled the order.
	Rejected bool `json:"rejected,omitempty"`

	// Contact and Life are the revisions of the last events of a customer that
	// tell where to send things, and that they came or left.
	Contact     int64 `json:"contact,omitempty"`
	Life        int64 `json:"life,omitempty"`
	Deactivated bool  `json:"deactivated,omitempty"`
	Forgotten   bool  `json:"forgotten,omitempty"`
}

// The facts about an order.
const (
	placed = iota
	packed
	dispatched
	cancelled
	facts
)

// fact is when something happened, and when that was committed to the stream of
// the order, both in microseconds; 0 is never.
type fact struct {
	At        int64 `json:"at,omitempty"`
	Committed int64 `json:"committed,omitempty"`
}

// The stored events that say something here, by the names they have in the log.
const (
	orderPlaced            = "order-placed"
	orderPacked            = "order-packed"
	orderDispatched        = "order-dispatched"
	orderCancelled         = "order-cancelled"
	customerRegistered     = "customer-registered"
	customerContactChanged = "customer-contact-changed"
	customerAddressChanged = "customer-address-changed"
	customerDeactivated    = "customer-deactivated"
	customerForgotten      = "customer-forgotten"
)

// announced reports whether others are told of an event of the type. Of types
// that are not known here nothing is asked.
func announced(typ string) bool {
	switch typ {
	case orderPlaced, orderCancelled, customerRegistered, customerContactChanged, customerAddressChanged, customerDeactivated:
		return true
	default:
		return false
	}
}

// orderData is what is read of the data of an order's events, in all of their
// versions: until the second, every amount of an order carried its currency.
type orderData struct {
	CustomerID string `json:"customerId"`
	Lines      []struct {
		SKU      string `json:"sku"`
		Quantity int64  `json:"quantity"`
	} `json:"lines"`
	Total        json.RawMessage `json:"total"`
	Currency     string          `json:"currency"`
	By           string          `json:"by"`
	PlacedAt     time.Time       `json:"placedAt"`
	PackedAt     time.Time       `json:"packedAt"`
	DispatchedAt time.Time       `json:"dispatchedAt"`
	CancelledAt  time.Time       `json:"cancelledAt"`
}

// unseen is what there is of a subject before its first event.
func unseen(kind, subject string) truth {
	return truth{Kind: kind, Subject: subject, Revision: -1, Announced: -1, Contact: -1, Life: -1}
}

// after returns the truth after a further event. An event that cannot be read is
// an error; the truth has come as far as its revision nevertheless.
func (t truth) after(r es.Recorded) (truth, error) {
	t.Revision, t.ChangedAt = int64(r.Revision), r.At.UnixMicro()
	if announced(r.Type) {
		t.Announced = t.Revision
	}
	switch r.Type {
	case orderPlaced, orderPacked, orderDispatched, orderCancelled:
		var data orderData
		if err := json.Unmarshal(r.Data, &data); err != nil {
			return t, fmt.Errorf("event %d of %s: %w", r.Revision, r.Stream, err)
		}
		return t.afterOrder(r, data)
	case customerRegistered:
		t.Contact, t.Life = t.Revision, t.Revision
	case customerContactChanged, customerAddressChanged:
		t.Contact = t.Revision
	case customerDeactivated:
		t.Life, t.Deactivated = t.Revision, true
	case customerForgotten:
		t.Forgotten = true
	}
	return t, nil
}

func (t truth) afterOrder(r es.Recorded, data orderData) (truth, error) {
	note := func(which int, at time.Time) { t.Facts[which] = fact{at.UnixMicro(), t.ChangedAt} }
	switch r.Type {
	case orderPlaced:
		lines := map[string]int64{}
		for _, line := range data.Lines {
			lines[line.SKU] += line.Quantity
		}
		t.Customer, t.Lines, t.Currency = data.CustomerID, service.LinesFact(lines), data.Currency
		note(placed, data.PlacedAt)
		var money struct {
			Amount   int64
			Currency string
		}
		if json.Unmarshal(data.Total, &t.Amount) == nil {
			return t, nil
		}
		if err := json.Unmarshal(data.Total, &money); err != nil {
			return t, fmt.Errorf("event %d of %s: total: %w", r.Revision, r.Stream, err)
		}
		t.Amount, t.Currency = money.Amount, money.Currency
	case orderPacked:
		note(packed, data.PackedAt)
	case orderDispatched:
		note(dispatched, data.DispatchedAt)
	case orderCancelled:
		note(cancelled, data.CancelledAt)
		t.Rejected = data.By == "packing"
	}
	return t, nil
}

// has reports whether a fact has happened.
func (t truth) has(which int) bool { return t.Facts[which].At != 0 }

// status is what the facts of an order amount to, for everybody but packing and
// dispatch. What left the house is dispatched, whatever was decided meanwhile.
func statusOf(has func(which int) bool) string {
	switch {
	case has(dispatched):
		return "dispatched"
	case has(cancelled):
		return "cancelled"
	case has(packed):
		return "packed"
	default:
		return "placed"
	}
}
