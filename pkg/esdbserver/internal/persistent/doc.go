// Package persistent hands the events of a stream, or of all streams, to the consumers of a group so that every event is
// delivered at least once: until a consumer says that it is done with it, that it shall be skipped, or until it is parked.
//
// It knows nothing about gRPC. A Subsystem holds the groups of one event log; Connect makes a Consumer of a group.
//
// # Promises
//
//   - A group works from its creation on, with or without consumers. What is its start, even when that is "the end", is
//     settled when it is created and does not move when the server restarts.
//   - First deliveries (retry count 0) to one consumer are in the order of the source. Repeated ones come when they come.
//   - A consumer has at most as many unfinished events as it asked for. What it does not answer in time, or held when it
//     left, goes to a consumer again with a higher retry count, and is parked when the group's limit is reached.
//   - An event counts as done only when that cannot be lost: parking is done when the link in the parked stream is
//     durable, and a checkpoint never lies above the lowest event that is not done. After a restart a group continues
//     behind its checkpoint: what was done above it is delivered again.
//   - Replayed events leave the parked stream when they are done, not before.
//   - What is gone is skipped: links to deleted events, streams that were deleted, truncated or tombstoned.
//
// # What is stored
//
//	$persistentSubscriptionConfig               all definitions; the last event counts
//	$persistentsubscription-<key>-checkpoint    the checkpoint of group <stream>::<group>; the last event counts
//	$persistentsubscription-<key>-parked        links to parked events; the metadata of a link says why and when
//
// # Memory and time
//
// A group reads ahead at most its history buffer (its live buffer while it keeps up, a single read batch while it has no
// consumers) and at most 16 MiB; it reads the log again later rather than remember more. Of events that are with a
// consumer it keeps the place, not the content. An idle group waits in two goroutines and costs nothing.
//
// Timeouts go by the clock of Options, which is looked at once a second and whenever Options.Wake says so.
package persistent
