// Package dispatch is the service that sends packed orders on their way.
//
// The promise. Every packed order can be dispatched exactly once, to the address
// its customer had at that moment, and unless it was cancelled before. What went
// out stays on record as it went out, and is announced exactly once in effect.
//
// The service stores its state: one row a shipment, changed in place, and a copy
// of what it needs to know about customers. Package shipments holds all of it;
// this package only puts the parts together.
package dispatch
