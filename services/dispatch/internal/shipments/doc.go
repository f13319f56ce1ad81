// Package shipments keeps what is to be sent: one shipment for every packed order.
//
// The rule. A shipment is the set of facts known about it, and its status follows
// from them, so it does not matter in which order the facts arrive:
//
//	(nothing) ── packed ──▶ ready ── dispatch ──▶ dispatched
//	                          │
//	                          └───── cancelled ─▶ cancelled
//
// What left the house stays dispatched, whatever is cancelled afterwards. A
// cancellation that arrives before the order was packed is noted in a row that
// nobody sees until then.
//
// Where to send it is known from the customer's events. A shipment that is ready
// shows the name and address as they are now; dispatching freezes them in its
// row. The copy of a customer has two parts, each with the sequence of the event
// it came from, so that a late event never overwrites a newer one.
//
// A customer who is forgotten leaves an empty copy behind that nothing fills any
// more, and what was dispatched to them shows it. What was not can no longer be
// dispatched: it waits for its cancellation.
//
// How to read it: shipment.go has the facts and the decisions, listen.go what is
// read from the bus, customer.go the copy of customers, command.go what people
// ask for, announce.go what is told to the others, store.go the rows, read.go
// the questions, api.go the HTTP.
package shipments
