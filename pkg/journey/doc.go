// Package journey puts together what all services tell about one order: its way
// through the system, for a page or a terminal to show.
//
// The promise: everything a service tells is there, once, with its own times. A
// cause stands above its effects even where the clocks of two machines, or a
// confirmation noted late, say otherwise. Waiting is told from working, both in
// what has happened and in what should come next and has not.
//
// How causes are found, from the ids alone:
//
//	request   id = C            -> everything here caused by C
//	received  event id = E      -> everything here caused by E
//	appended  domain event id D -> published, caused by D
//	published event id = E      -> received E, in another service
package journey
