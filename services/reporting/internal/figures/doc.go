// Package figures counts orders: how many, worth how much, and how long they
// took.
//
// The rule. One row an order holds the facts known about it (order.go). What the
// row counts for follows from them:
//
//	nothing                       while it is not known that the order was placed
//	dispatched                    if it was dispatched, cancelled or not: the parcel is gone
//	cancelled                     if it was cancelled; its amount is no revenue
//	packed, placed                otherwise
//	delayed                       once for each stage that was late, whatever became of it
//	returned                      if what was packed was put back, unless the parcel is gone
//	time to pack, to dispatch     from being placed, once both ends are known, in milliseconds;
//	                              0 where clocks disagree so much that the end comes first
//
// An event adds a fact, and the transaction notes what it moves from one count
// to another in rows of their own, the movements (movement.go): no two
// transactions wait for the same row. A loop adds the movements up into totals
// (totals.go). A figure is the totals and the movements not added yet, read in
// one snapshot (summary.go, perday.go): exact at any moment, whether the loop
// runs or not. Sums are 64 bit integers of minor units.
//
// Percentiles are exact to the millisecond, by nearest rank: the p-th is the
// smallest duration that at least p in a hundred do not exceed. Totals of
// classes of durations (duration.go) tell in which narrow class it is, and an
// index which one in there.
//
// Customers and prices (others.go) are kept for reports made with SQL; no figure
// shows them yet.
package figures
