// Package cause says why something happens, and names its consequences.
//
// The rule it owns: ids of events are derived, so that the same fact always has
// the same id. Whoever handles the same command or the same incoming event a
// second time arrives at the same ids, and the event store, the outbox and
// every inbox recognise the repetition.
//
//	event id              = UUIDv5(id of the cause, aggregate and index)
//	integration event id  = UUIDv5(id of the domain event, its type)
//
// Ids are never derived from stream and revision: two conflicting commands
// would then share an id, and the event store's idempotent append would swallow
// the second without a word.
package cause
