// Package es keeps aggregates as streams of events in EventStoreDB.
//
// The promise. What a decision was based on is what its events are appended
// after: [Repository.Update] loads a stream, lets a pure function decide, and
// appends with the revision that was loaded as the expected one. Another writer
// in between means that the decision is made again, on what is there then.
// Nothing is overwritten, and nothing is written twice: event ids are derived
// from the command (package cause), so a command repeated after a lost answer
// finds its own events and adds none.
//
// The parts, in reading order:
//
//	Store       one connection to the event store, through the official client,
//	            that outlives any outage of the server
//	Recorded    an event as the store keeps it, and its metadata
//	Schemas     the versions events were written in, and what they mean today
//	Repository  load, decide, append, re-decide
//	Follow      the committed log from a checkpoint on, for relays and projections
package es
