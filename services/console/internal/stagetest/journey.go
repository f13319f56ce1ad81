package stagetest

import (
	"time"

	"github.com/google/uuid"

	"orderflow/pkg/cause"
	"orderflow/pkg/service"
	"orderflow/services/console/internal/board"
	"orderflow/services/console/internal/neighbours"
)

// Journey is an order on its way, told step by step as the services would tell
// it: with the ids that the real ones derive.
type Journey struct {
	system  *System
	OrderID string
	// Correlation is shared by everything that happens to the order.
	Correlation string
	at          time.Time
	events      map[string]string // ids of integration events by type
}

// NewJourney returns the way of an order that nobody has heard of yet.
func (s *System) NewJourney(start time.Time) *Journey {
	return &Journey{system: s, OrderID: cause.NewID().String(), Correlation: cause.NewID().String(), at: start, events: map[string]string{}}
}

// After lets time pass.
func (j *Journey) After(d time.Duration) *Journey {
	j.at = j.at.Add(d)
	return j
}

// Ask is a request to a service; it returns the command's id.
func (j *Journey) Ask(name, request string) string {
	id := cause.NewID().String()
	j.tell(name, service.TraceItem{Kind: "http", ID: id, Type: request})
	return id
}

// Append records a domain event on the order's stream; it returns its id.
func (j *Journey) Append(typ string, revision int64, causedBy string) string {
	id := cause.Derive(uuid.MustParse(causedBy), typ).String()
	j.tell(neighbours.Order, service.TraceItem{Kind: "appended", ID: id, Type: typ, Sequence: &revision, CausationID: causedBy})
	return id
}

// Publish announces an integration event.
func (j *Journey) Publish(name, typ string, sequence int64, causedBy string) {
	id := cause.Derive(uuid.MustParse(causedBy), typ).String()
	j.events[typ] = id
	j.tell(name, service.TraceItem{Kind: "published", ID: id, Type: typ, Sequence: &sequence, CausationID: causedBy})
}

// Receive hands an event to a service; it returns the event's id.
func (j *Journey) Receive(name, typ string) string {
	id := j.events[typ]
	j.tell(name, service.TraceItem{Kind: "received", ID: id, Type: typ, Attempts: 1})
	return id
}

// Write changes a row of a service's read model.
func (j *Journey) Write(name, row, state string) {
	j.tell(name, service.TraceItem{Kind: "wrote", ID: j.OrderID, Type: row, Detail: state})
}

// Mail is a mail of crm.
func (j *Journey) Mail(kind, state string) {
	j.tell(neighbours.CRM, service.TraceItem{Kind: "mailed", ID: cause.NewID().String(), Type: kind, Detail: state})
}

func (j *Journey) tell(name string, item service.TraceItem) {
	item.At, item.CorrelationID = j.at, j.Correlation
	j.system.Tell(name, j.OrderID, item)
}

// Place places the order: accepted, recorded and announced, in both versions.
func (j *Journey) Place(customerID, product string, total int64) {
	j.system.Add(board.Order{
		OrderID: j.OrderID, CustomerID: customerID, Status: "placed", PlacedAt: j.at,
		Lines: []board.Line{{SKU: "SKU-1", Name: product, Quantity: 2, UnitPrice: board.Money{Amount: total / 2, Currency: "EUR"}}},
		Total: board.Money{Amount: total, Currency: "EUR"},
	})
	command := j.Ask(neighbours.Order, "POST /orders")
	j.After(2300 * time.Microsecond)
	event := j.Append("order-placed", 0, command)
	j.After(4100 * time.Microsecond)
	j.Publish(neighbours.Order, "order.events.placed.v1", 0, event)
	j.After(10 * time.Microsecond)
	j.Publish(neighbours.Order, "order.events.placed.v2", 0, event)
}

// SpreadPlaced delivers the order to those who read that it was placed, each in
// the version it reads.
func (j *Journey) SpreadPlaced() {
	j.Spread("order.events.placed.v1", neighbours.Packing, neighbours.CRM)
	j.Spread("order.events.placed.v2", neighbours.Reporting)
}

// Spread delivers an event to its readers, one after the other.
func (j *Journey) Spread(typ string, readers ...string) {
	for _, reader := range readers {
		j.After(1700 * time.Microsecond)
		j.Receive(reader, typ)
	}
}

// Pack packs the order: asked for, written and announced by packing.
func (j *Journey) Pack() {
	command := j.Ask(neighbours.Packing, "POST /jobs/"+j.OrderID+"/pack")
	j.After(3200 * time.Microsecond)
	j.Write(neighbours.Packing, "job", "packed")
	j.After(900 * time.Microsecond)
	j.Publish(neighbours.Packing, "packing.events.packed.v1", 1, command)
}

// Late is what the process of the order does when a deadline has passed.
func (j *Journey) Late() {
	event := j.Append("fulfilment-delayed", 1, cause.NewID().String())
	j.After(1200 * time.Microsecond)
	j.Publish(neighbours.Order, "order.events.delayed.v1", 1, event)
}

// Cancel cancels the order, which is packed, and its process asks for the goods
// back.
func (j *Journey) Cancel() {
	command := j.Ask(neighbours.Order, "POST /orders/"+j.OrderID+"/cancel")
	event := j.Append("order-cancelled", 2, command)
	j.After(900 * time.Microsecond)
	j.Publish(neighbours.Order, "order.events.cancelled.v1", 2, event)
	wanted := j.Append("fulfilment-return-requested", 2, event)
	j.After(1100 * time.Microsecond)
	j.Publish(neighbours.Order, "packing.commands.return_to_stock.v1", 2, wanted)
	j.system.Change(j.OrderID, func(o *board.Order) { o.Status = "cancelled" })
}

// Return is packing's part when goods are asked back.
func (j *Journey) Return() {
	command := j.Receive(neighbours.Packing, "packing.commands.return_to_stock.v1")
	j.Write(neighbours.Packing, "job", "returned")
	j.After(800 * time.Microsecond)
	j.Publish(neighbours.Packing, "packing.events.returned.v1", 3, command)
}

// RecordPacked is order's part in packing.
func (j *Journey) RecordPacked() {
	event := j.Receive(neighbours.Order, "packing.events.packed.v1")
	j.After(1500 * time.Microsecond)
	j.Append("order-packed", 1, event)
	j.system.Change(j.OrderID, func(o *board.Order) { o.Status, o.PackedAt = "packed", j.at })
}
