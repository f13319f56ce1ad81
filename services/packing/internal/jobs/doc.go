// Package jobs keeps the worklist of packing: one job for every order placed.
//
// The rule. A job is the set of facts known about it, and its status follows
// from them, so it does not matter in which order the facts arrive:
//
//	(nothing) ── placed ──▶ pending ── pack ─────▶ packed
//	                           │
//	                           │                     │ return to stock
//	                           │                     ▼
//	                           │                   returned
//	                           ├────── reject ───▶ rejected
//	                           └────── cancelled ▶ cancelled
//
// What a person did is stronger than what was asked for: a box that was packed
// stays packed when the order is cancelled, until the process of the order asks
// for the goods back (packing.commands.return_to_stock.v1). That is a command
// and no event: it can be refused, and is when nothing was packed. A box that the
// carrier took at the same moment is gone: what left the house was not returned,
// in whatever order the two are told.
//
// An event can arrive before the order it is about. It is noted in a row that
// nobody sees until the order arrives, which is then cancelled at once.
//
// How to read it: job.go has the facts and the decisions, listen.go what is read
// from the bus, command.go what people ask for, announce.go what is told to the
// others, store.go the rows, read.go the questions, api.go the HTTP.
package jobs
