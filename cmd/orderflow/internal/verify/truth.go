package verify

import (
	"encoding/json"
	"fmt"
	"strings"
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
	// ChangedAt is when the last event of the subject, or of its process, was
	// committed, in microseconds.
	ChangedAt int64 `json:"changedAt"`
	// Announced is the revision of the last event that others are told of by the
	// order service; -1 is none.
	Announced int64 `json:"announced"`

	Customer string `json:"customer,omitempty"`
	Lines    string `json:"lines,omitempty"`
	Names    string `json:"names,omitempty"`
	Amount   int64  `json:"amount,omitempty"`
	Currency string `json:"currency,omitempty"`
	// Facts are what happened to an order, in the order of the constants below.
	Facts [facts]fact `json:"facts,omitzero"`
	// Rejected says that it was packing that cancelled the order.
	Rejected bool `json:"rejected,omitempty"`
	// Process is where the process of an order stands.
	Process process `json:"process,omitzero"`

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
	packingDelayed
	dispatchDelayed
	returned
	facts
)

// process is what the stream of the process of an order says.
type process struct {
	Revision int64  `json:"revision"` // -1 is a process that has not begun
	State    string `json:"state,omitempty"`
	Deadline string `json:"deadline,omitempty"` // its kind; empty when it waits without one
	DueAt    int64  `json:"dueAt,omitempty"`    // in microseconds
}

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
	orderRejected          = "order-rejected"
	orderCancelled         = "order-cancelled"
	customerRegistered     = "customer-registered"
	customerContactChanged = "customer-contact-changed"
	customerAddressChanged = "customer-address-changed"
	customerDeactivated    = "customer-deactivated"
	customerForgotten      = "customer-forgotten"
	processDelayed         = "fulfilment-delayed"
	processAskedBack       = "fulfilment-return-requested"
	processReturned        = "fulfilment-returned"
)

// orderData is what is read of the data of an order's events, in all of their
// versions: until the second, every amount of an order carried its currency.
type orderData struct {
	CustomerID string `json:"customerId"`
	Lines      []struct {
		SKU      string `json:"sku"`
		Name     string `json:"name"`
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

// processData is what is read of the data of the events of a process.
type processData struct {
	State    string `json:"state"`
	Deadline struct {
		Kind  string    `json:"kind"`
		DueAt time.Time `json:"dueAt"`
	} `json:"deadline"`
	Missed struct {
		Kind string `json:"kind"`
	} `json:"missed"`
	At time.Time `json:"at"`
}

// unseen is what there is of a subject before its first event.
func unseen(kind, subject string) truth {
	return truth{Kind: kind, Subject: subject, Revision: -1, Announced: -1, Contact: -1, Life: -1, Process: process{Revision: -1}}
}

// after returns the truth after a further event. An event that cannot be read is
// an error; the truth has come as far as its revision nevertheless.
func (t truth) after(r es.Recorded) (truth, error) {
	t.ChangedAt = max(t.ChangedAt, r.At.UnixMicro())
	if strings.HasPrefix(r.Stream, "fulfilment-") {
		return t.afterProcess(r)
	}
	t.Revision = int64(r.Revision)
	if len(announcedAs(r.Type)) > 0 {
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
		t.Contact, t.Forgotten = t.Revision, true
	}
	return t, nil
}

func (t truth) afterOrder(r es.Recorded, data orderData) (truth, error) {
	note := func(which int, at time.Time) { t.Facts[which] = fact{at.UnixMicro(), r.At.UnixMicro()} }
	switch r.Type {
	case orderPlaced:
		lines, names := map[string]int64{}, map[string]int64{}
		for _, line := range data.Lines {
			lines[line.SKU] += line.Quantity
			names[line.Name] += line.Quantity
		}
		t.Customer, t.Currency = data.CustomerID, data.Currency
		t.Lines, t.Names = service.LinesFact(lines), service.LinesFact(names)
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

// afterProcess returns the truth about an order after an event of its process.
func (t truth) afterProcess(r es.Recorded) (truth, error) {
	t.Process.Revision = int64(r.Revision)
	var data processData
	if err := json.Unmarshal(r.Data, &data); err != nil {
		return t, fmt.Errorf("event %d of %s: %w", r.Revision, r.Stream, err)
	}
	t.Process.State, t.Process.Deadline, t.Process.DueAt = data.State, data.Deadline.Kind, 0
	if data.Deadline.Kind != "" {
		t.Process.DueAt = data.Deadline.DueAt.UnixMicro()
	}
	now := fact{data.At.UnixMicro(), r.At.UnixMicro()}
	switch {
	case r.Type == processReturned:
		t.Facts[returned] = now
	case r.Type == processDelayed && data.Missed.Kind == "pack-overdue":
		t.Facts[packingDelayed] = now
	case r.Type == processDelayed:
		t.Facts[dispatchDelayed] = now
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
