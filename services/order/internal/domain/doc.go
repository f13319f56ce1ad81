// Package domain holds the rules of an order: what may happen to it, and what
// then is true of it.
//
//	                cancel, reject, expire
//	            ┌─────────────────────────────┐
//	            │                             ▼
//	──place──▶ placed ──pack──▶ packed ──▶ cancelled
//	            │                 │           │
//	            │ dispatch        │ dispatch  │ dispatch
//	            ▼                 ▼           ▼
//	            └───────────▶ dispatched ◀────┘
//
// Placing and cancelling are decisions of people, which the rules can refuse.
// Packing, rejecting and dispatching are facts that other services report: they
// have happened, whatever this order thinks of it, and arrive late, twice, or
// out of turn. So they are never refused, and a physical fact wins: an order that
// left the house while its cancellation was on the way is dispatched, and keeps
// the time of the cancellation. Expiring is what a deadline leads to (package
// fulfilment): it does nothing to an order that has moved on by then.
//
// A rejection is told by two events: the fact, Rejected, and what follows from
// it, Cancelled. Only the second changes the order.
//
// No personal data is kept here: an order knows its customer by id only.
package domain
