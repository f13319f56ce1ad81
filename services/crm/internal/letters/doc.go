// Package letters says what a customer is told, and nothing else: it is a pure
// function of what is known about an order.
//
// The rule. A letter tells the truth as it is known when it is sent. One kind of
// letter follows from one thing that happened, so the set of letters of an order
// does not depend on the order in which the news arrived; but news that has
// arrived in the meantime changes what a letter says:
//
//	order-confirmation   the order was placed; how it went on if it has
//	order-packed         it was packed; if it is cancelled by now, it says that the parcel stays here,
//	                     and if it is on its way by now, that
//	order-dispatched     it is on its way; if it was to be cancelled, it says that it had left already
//	order-cancelled      it was cancelled, and we apologise if that was our doing;
//	                     if it was dispatched all the same, it says so
//	order-packing-delayed, order-dispatch-delayed
//	                     it was not packed, or not dispatched, in time: we apologise,
//	                     and say how it went on if it has
//
// A subject names the order and the matter and is always the same, so that what
// is listed does not depend on when a letter was sent.
package letters
