// Package position lets whoever changed something read what they wrote, from
// projections that lag.
//
// A command answers with a [Position]: which announced event its outcome rests
// on. A projection that is asked for something with a position waits until it
// has applied that event ([Waiting]), for as long as the caller is patient, and
// says so when it has not.
//
// A position names one event of one aggregate: its source, its subject, its
// sequence, and its type without the version, by which a consumer that does not
// read such events sees that it has nothing to wait for. It says nothing about
// events before and after it, so it is right whatever order they arrive in, and
// nobody ever waits for a number that was given to no announcement.
package position
