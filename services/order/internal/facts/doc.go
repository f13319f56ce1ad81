// Package facts takes what packing and dispatch have done into the streams of
// orders.
//
// The event ids are derived from the incoming event, and the decisions are empty
// the second time, so an event that comes twice is recorded once.
package facts
