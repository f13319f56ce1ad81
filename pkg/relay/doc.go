// Package relay announces what an event-sourced service has committed: it
// follows the event store's log, translates domain events into integration
// events, and publishes them on the bus.
//
// The promise. Nothing is announced that did not commit, because the log is all
// that is read; everything that committed is announced, because the checkpoint
// moves only over events the bus has confirmed, without a gap. A relay that dies
// in between publishes the last window again, with the same ids.
//
// Rules. One relay is active per service: a lease in the service's database
// elects it, and every move of the checkpoint is fenced by the lease's epoch, so
// one that was paused and wakes up late moves nothing. Events of one aggregate
// are published in the order of its stream.
//
// Failure. When the bus or the database does not answer, the relay stops with
// the error and is started again by its caller, from its checkpoint. An event
// that cannot be announced (its metadata is unreadable, it cannot be translated,
// the bus refuses it) stops nothing: it is parked, with its position and the
// reason, and later ones go on; [Relay.Redrive] tries it again.
package relay
