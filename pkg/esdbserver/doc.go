// Package esdbserver is an event store inside your process: a server of the EventStoreDB gRPC protocol on one SQLite file.
// The official Go client works against it unmodified. An append that was answered is durable and is read, in order and
// once, by everybody, also after kill -9.
//
//	server, err := esdbserver.Open(esdbserver.Config{Dir: "data"}) // no Dir: in memory
//	listener, err := net.Listen("tcp", "127.0.0.1:2113")
//	go server.Serve(listener)
//	client := connect(server.ConnectionString(listener.Addr())) // esdb://127.0.0.1:2113?tls=false
//	...
//	server.Shutdown(ctx)
//
// Tests start one with package esdbservertest; command eventstore runs one by itself.
//
// # Promises
//
//   - Appends are checked and written one after the other. Those that arrive together share one transaction and one fsync.
//   - An answer comes after the commit (SQLite in WAL mode, synchronous=FULL). A writer who got no answer asks again with
//     the same event ids and a definite expected revision, and gets the answer without a second copy.
//   - The events of one append are contiguous in their stream and in $all. Positions grow strictly, with gaps, are above 0
//     and are never used again. Revisions are dense from 0.
//   - A subscription delivers every event once and in order, from the log until it has caught up and then as it is
//     committed. A slow subscriber is never dropped and never makes the writer wait: it is served from the log again.
//   - Memory is bounded: by the sizes of requests and pages, 16 MiB of recent events, and caches of stream heads and ids.
//
// # When things go wrong
//
//   - The data directory is in use by another server, or the file in it is damaged or another program's: Open fails
//     with one line that names the directory, and leaves the file alone.
//   - The disk is full or fails: the writers concerned get an error (UNKNOWN), nothing of theirs is kept, and the server
//     goes on. What was acknowledged before stays.
//   - A write waits for more than 2 s: ABORTED. It may still be committed; asking again is safe, see above.
//   - The server stops: subscriptions end with UNAVAILABLE. Clients subscribe again from where they were.
//   - The process is killed: the next Open finds every append that was answered, and of the others all events or none.
//
// # What is spoken
//
//	Streams.Append                        all expected revisions, idempotent repetition, soft-deleted and tombstoned
//	                                      streams, size limits
//	Streams.Read of a stream              both directions, links, UUIDs in both forms, messages about the ends on request
//	Streams.Read of $all                  the same, filters by stream name or event type (prefixes or pattern)
//	Streams.Read as subscription          to a stream or $all, filters and checkpoints on $all, caught_up
//	Streams.Delete, Streams.Tombstone     yes
//	Stream metadata ($$ streams)          $maxCount, $maxAge, $tb; $acl and $cacheControl are kept and not acted upon
//	ServerFeatures, Gossip                yes, as a single node that leads
//	HTTP/1.1 on the same port             GET and HEAD of /health/live, /info, /gossip
//	Streams.BatchAppend                   not yet: UNIMPLEMENTED, and not advertised
//	PersistentSubscriptions               not yet: UNIMPLEMENTED, though advertised, so that callers see this answer
//	TLS, authentication, access control   not yet: every caller may do everything, credentials are ignored
//	Projections ($ce-, $et-, ...)         not yet; the original has them switched off by default
//	Users, Operations, Monitoring         UNIMPLEMENTED
//
// # Known differences
//
//   - A failed Append is answered when the request has been read to its end. The original answers early, which the Go
//     client may report as a broken stream.
//   - Patterns of filters are Go's (RE2): look-around and back-references are refused with INVALID_ARGUMENT.
//   - A position must be that of an event (or lie at or beyond the end), and commit and prepare must be equal. The one-shot
//     read of $all forwards from beyond the end is empty.
//   - With resolved links, link and event both carry the position of the link.
//   - A metadata stream cannot be deleted or tombstoned by itself, and $all cannot be appended to: INVALID_ARGUMENT. A
//     stream name must be valid UTF-8; in a trailer it is percent-encoded where it is not printable ASCII.
//   - caught_up carries no time or position, like that of version 24.10, which this server says it is.
//   - A subscriber who had fallen behind when its stream was tombstoned still gets the events before the tombstone.
//   - The memory of ids for Any and StreamExists holds a number of ids (60,000 to 120,000) instead of 8 MiB.
//   - There is no scavenging: nothing is ever removed from the file.
//
// # One client in the process
//
// The server uses the generated messages of github.com/EventStore/EventStore-Client-Go/v4, so that both can live in one
// process. The newer KurrentDB client registers messages of the same names: a program that imports both does not start.
// It can talk to this server all the same, from a process of its own.
package esdbserver
