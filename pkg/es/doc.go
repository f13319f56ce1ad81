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
//	Snapshots   states kept to save reading long streams; never believed over events
//	Follow      the committed log from a checkpoint on, for relays and projections
//
// Package snapshot keeps snapshots in a table; package estest holds a codec
// against the goldens of everything that was ever stored with it.
//
// # Snapshots
//
// The last events of a stream are read first, as many as lie between two
// snapshots. A stream that has no more is loaded with that. For a longer one the
// snapshot is looked for, and counts only if the stream holds the event that it
// ends at. So short streams cost what they did, a snapshot can be wrong in no
// way that the stream does not show, and deleting it costs time alone.
//
// What a snapshot must not lose is that commands are known by their events: it
// keeps four bytes of the id of each. A command none of whose bytes are there
// has not been carried out; of one whose bytes are there, a repetition or one in
// four thousand million others for each event, the events are read to be sure.
//
// Loading an order, replayed and with a snapshot every 100 events
// (BenchmarkLoad in services/order/internal/stored; the ratio in one run):
//
//	    10 events   1.0
//	   100 events   1.0
//	 1,000 events   3 to 11
//	10,000 events  40 to 90
package es
