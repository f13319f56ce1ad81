// Package timeline puts together what all services tell about one order.
//
// The promise: everything a service tells is shown, once, with its own times.
// A cause stands above its effects even where the clocks of two machines, or a
// confirmation noted late, say otherwise. What should come next and has not is
// shown as awaited, so that waiting can be told from working. A service that
// does not answer is named; the others' part is shown without it.
//
// How causes are found, from the ids alone:
//
//	request   id = C            -> everything here caused by C
//	received  event id = E      -> everything here caused by E
//	appended  domain event id D -> published, caused by D
//	published event id = E      -> received E, in another service
package timeline
