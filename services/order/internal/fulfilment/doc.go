// Package fulfilment is the process manager of orders: it watches each order
// until it has left the house or is back in the shelf, notices when nothing
// happens for too long, and undoes what has been done in vain.
//
// # The promise
//
// No order is forgotten. One that is not packed, or not dispatched, in time is
// announced as delayed, once; one that still is not long after that is
// cancelled. Goods that were packed for an order that is cancelled are asked
// back. Whatever happens in whatever order and however often, an order ends as
// one of these: dispatched; cancelled with nothing packed; cancelled with what
// was packed returned.
//
// The main flow needs none of this: packing hears that an order was placed and
// dispatch hears that it was packed, without anybody telling them to. docs/
// compares the two ways (processes.md).
//
// # The table
//
// The process of an order is a state machine. [NewRules] holds its table, as
// data: what is stated there is what happens, and docs/processes.md shows a copy
// that a test compares. In short, where a plain arrow is what was heard of the
// order and a dotted one a deadline that has passed:
//
//	          packed                       dispatched
//	packing ──────────▶ dispatching ─────────────────▶ dispatched
//	   ┊ overdue            ┊ overdue                      ▲ from every state:
//	   ▼                    ▼                              │ a physical fact wins
//	packing-late        dispatching-late ──────────────────┤
//	   ┊ expired            ┊ expired                      │
//	   ▼                    ▼                              │
//	packing-expired     dispatching-expired ───────────────┘
//	   │ cancelled          │ cancelled
//	   ▼          packed    ▼           returned
//	cancelled ─────────▶ returning ─────────────▶ returned
//
// The order can be cancelled in every one of the upper states, by its customer
// or by packing, and be packed in all of those on the left.
//
// # How it works
//
// The process of an order is a stream of its own, fulfilment-<order id>. The
// manager follows the log of the event store, orders and processes alike, from a
// checkpoint and under a lease:
//
//	order-placed, order-packed, ...  ──▶ what the table says, as an event of the process
//	an event of the process          ──▶ a row in the table of deadlines, replaced or removed
//	fulfilment-expired               ──▶ the order is asked to end (order-cancelled by deadline)
//	fulfilment-delayed               ──▶ order.events.delayed.v1              by the relay
//	fulfilment-return-requested      ──▶ packing.commands.return_to_stock.v1  by the relay
//
// So what is wanted is committed first, and carried out because it is: a process
// that is killed between the two does it when it is back. Ids are derived from
// what was heard, and of a deadline from order, kind and time, so everything may
// be done twice and counts once. Events of different orders are handled side by
// side, those of one order in order.
//
// # Deadlines
//
// A deadline belongs to a state, and ends with it. Rows are what the log says,
// and can be removed together with the checkpoint (fulfilment_deadline,
// fulfilment_checkpoint): they are built anew. Before a deadline counts, the
// order's own stream is read once more, so that a manager that lags behind the
// log accuses nobody. What is still in the service's queue, or held back in its
// inbox, cannot be in a stream yet: deadlines rest while more than a batch waits
// there, while the bus does not say how much, and for a while after a start
// ([Settings]). What is then still on its way loses the race, and is
// compensated.
//
// # Failure
//
// An event store or a database that does not answer stops the manager, and it
// goes on from its checkpoint. An order that cannot be handled, such as one with
// an event that this program is too old for, or one that a newer release has led
// into a state this table does not have, is put aside (fulfilment_aside, the
// metric orderflow_fulfilment_aside and the order's trace show it) and tried
// again with growing pauses; the others go on. Its deadlines rest meanwhile. A
// release that knows more takes it up at the next try and hears the whole order
// again, so while two releases run side by side nothing is lost.
//
// # Reading order
//
// table.go has the states and the table, process.go what a step does, stored.go
// the stored form, manager.go the loop, steps.go the handling of one event,
// batch.go what a batch writes, deadlines.go the clock, aside.go what could not
// be handled, settings.go the settings.
package fulfilment
