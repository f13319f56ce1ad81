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
// Tests start one with package esdbservertest, which can also make it fail; command eventstore runs one by itself;
// package protocoltest is what it promises, as rules that any server of the protocol can be asked.
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
//   - A persistent subscription delivers every event at least once, until it is acknowledged, skipped or parked. What it
//     knows survives a restart; see package internal/persistent.
//   - Memory is bounded, however many events there are: by the sizes of requests, a page of 256 KiB for each subscriber
//     (or one larger event), 16 MiB of recent events, the buffers of persistent subscriptions, and caches of stream heads
//     and ids. Without Dir all events are in memory, by nature.
//
// # When things go wrong
//
//   - The data directory is in use by another server, or what lies there is damaged or another program's: Open fails with
//     one line that names the directory, and changes nothing.
//   - The disk is full: the writers concerned get an error (UNKNOWN), nothing of theirs is kept, and writing goes on when
//     there is room. What was acknowledged before stays.
//   - An fsync fails: no write is accepted until the next start (UNKNOWN; /health/live answers 503), and reads go on. What
//     was refused may turn out to be stored, as a whole; asking again is safe.
//   - An event on the disk is not what was written: a read delivers what lies before it and then fails with UNKNOWN and
//     the position. The rest is served. The operator is told once.
//   - A write waits for more than 2 s: ABORTED. It may still be committed; asking again is safe, see above.
//   - The server stops: subscriptions end with UNAVAILABLE. Clients subscribe again from where they were.
//   - The process is killed: the next Open finds every append that was answered, and of the others all events or none.
//   - A request makes no sense: it is answered with an error, whatever is missing in it or wrong with it.
//
// # What is spoken
//
//	Streams.Append                        all expected revisions, idempotent repetition, soft-deleted and tombstoned
//	                                      streams, size limits
//	Streams.BatchAppend                   pipelined, interleaved, in pieces, with deadlines in both forms
//	Streams.Read of a stream              both directions, links, UUIDs in both forms, messages about the ends on request
//	Streams.Read of $all                  the same, filters by stream name or event type (prefixes or pattern)
//	Streams.Read as subscription          to a stream or $all, filters and checkpoints on $all, caught_up
//	Streams.Delete, Streams.Tombstone     yes
//	Stream metadata ($$ streams)          $maxCount, $maxAge, $tb, $acl (in a secure server); $cacheControl is kept
//	PersistentSubscriptions.Create,       to streams and to $all with filters; strategies RoundRobin, DispatchToSingle,
//	  Update, Delete                      Pinned, PinnedByCorrelation; all settings; the fields of old clients
//	PersistentSubscriptions.Read          ack, nack (park, retry, skip, stop, unknown), timeouts, retries, parking,
//	                                      checkpoints
//	PersistentSubscriptions.GetInfo,      yes, with statistics
//	  List, ReplayParked, RestartSubsystem
//	ServerFeatures, Gossip                yes, as a single node that leads, at the address it was reached at
//	HTTP/1.1 on the same port             GET and HEAD of /health/live, /info, /gossip; /subscriptions: list, {stream},
//	                                      {stream}/{group}/info, {stream}/{group}/replayParked, restart
//	Headers                               authorization (Basic), connection-name, requires-leader (always true here)
//	TLS                                   gRPC and HTTP/1.1 on one port; see Config.TLS; off by default
//	Authentication, access control        users admin and ops, $acl, $settings, the rights to $all; with TLS only
//	System projections                    $ce-, $et-, $bc-, $streams, $category-; see Config.SystemProjections; off by
//	                                      default, as in the original
//	Projections (management)              UNIMPLEMENTED
//	Users (management)                    UNIMPLEMENTED: an administrator appends to $user-NAME
//	Operations, Monitoring                UNIMPLEMENTED; HTTP /stats: 404
//	Certificates of users, LDAP, OAuth,   no
//	  stream policies, clusters, AtomPub
//
// # Known differences
//
// Appending and reading:
//
//   - A failed Append is answered when the request has been read to its end. The original answers early, which the Go
//     client may report as a broken stream.
//   - Patterns of filters are Go's (RE2): look-around and back-references are refused with INVALID_ARGUMENT.
//   - A position must be that of an event (or lie at or beyond the end), and commit and prepare must be equal. The one-shot
//     read of $all forwards from beyond the end is empty.
//   - With resolved links, link and event both carry the position of the link. A link to a stream that the caller may not
//     read comes without its event.
//   - A metadata stream cannot be deleted or tombstoned by itself, and $all cannot be appended to: INVALID_ARGUMENT. A
//     stream name must be valid UTF-8; in a trailer it is percent-encoded where it is not printable ASCII. It has no limit
//     but that of a message.
//   - caught_up carries no time or position, like that of version 24.10, which this server says it is.
//   - A subscriber who had fallen behind when its stream was tombstoned still gets the events before the tombstone.
//   - The memory of ids for Any and StreamExists holds a number of ids (60,000 to 120,000) instead of 8 MiB.
//   - The deadline of a batch covers its write too; in the original it ends when the batch is complete. Batches that are
//     incomplete when the client has ended are answered with BadRequest; the original says nothing.
//   - The headers of a call may be 64 KiB, a connection may have 10,000 calls at a time, and a filtered subscription reads
//     the log in pages of its checkpoint interval.
//   - There is no scavenging: nothing is ever removed from the file.
//
// Persistent subscriptions:
//
//   - A parked event that is replayed leaves the parked stream when it is done. The original removes it when the replay
//     begins, and would lose it in a crash.
//   - The start "end" is settled when the group is created. The window of a filter is ignored. A consumer has at most
//     65,536 unfinished events. The reason of a nack is kept up to 4 KiB. The status is Live or Behind.
//
// A secure server:
//
//   - An access control list that cannot be understood admits administrators only, and counts even when another key of the
//     same metadata is malformed.
//   - An administrator who is there keeps the password it has; Config.ResetPasswords changes it. Hashes are not
//     interchangeable with the original's.
//   - Losing the right to read also ends a read that is half done; the right to write counts when it is written.
//   - The streams of system projections may be read by everybody with a user, as in the original, but by a rule and not by
//     stored metadata.
//   - Gossip tells an address, not a name: with esdb+discover the certificate must be valid for that.
//
// System projections:
//
//   - Links come in one transaction with the mark of how far they go, so that none is there twice. There are no checkpoint
//     streams.
//
// # One client in the process
//
// The server uses the generated messages of github.com/EventStore/EventStore-Client-Go/v4, so that both can live in one
// process. The newer KurrentDB client registers messages of the same names: a program that imports both ends in a panic
// before main. It can talk to this server all the same, from a process of its own; a test shows that version 1.2.0 does.
//
// # Asking another server the same
//
// With ESDB_URL the suite of rules is asked of another server, the original for one. It may hold other events. Where a
// rule needs a restart or a clock that can be set, or the original is known to answer differently, it is skipped:
//
//	ESDB_URL='esdb://admin:changeit@127.0.0.1:2113?tls=false' go test ./pkg/esdbserver -run TestServerFollowsTheProtocol
package esdbserver
