// Package contracts holds what services promise each other: one JSON Schema for
// the data of every integration event, one for the envelope, and samples. It is
// the only thing that services share, and it has no Go types for the events:
// each service declares its own view of what it publishes and reads, and tests
// hold that view against the files here (package contractstest).
//
// Contracts only grow. A field once published stays, keeps its type, and stays
// required where it was; a field added later is optional, because events from
// before are still stored and still on their way. Whatever cannot be said that
// way gets a new version, v2, which is published next to v1.
package contracts
