// Package verify compares what was committed with what every service shows and
// has announced. It looks at nothing private: the log of the event store, and
// the services' own answers over HTTP.
//
// Reading order: truth.go has what the log says of a subject, expect.go what each
// service must show of it, owed.go what must have been announced of it; look.go
// compares once and looks again at what differs, announcements.go does so with
// announcements, sums.go adds up; book.go keeps what was read, on disk.
//
// A service that does not answer is asked again for as long as the lag. Then it is
// named in the report, which says nothing else of it, and the others are compared.
//
// The rule of time: what is younger than the lag is not judged. A difference is
// told when it is there at two looks, between which the lag has passed, and when
// at the second neither the last event of the subject nor the row is younger than
// the lag, and no event was committed meanwhile. Ages compare the clocks of the
// event store and of the services with the one here.
//
// Sums cannot be looked at one by one. Every order whose facts are older than the
// lag counts as what it is; a younger one may count as anything between its older
// facts and all of them. A sum that is not between the two ends is told, so that
// on a quiet system it is exact, and on a busy one as exact as there is traffic
// within the lag.
//
// Memory does not grow with the system: what the log says is kept in a database
// in a temporary folder, and everything else is read page by page.
package verify
