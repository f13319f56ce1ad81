package eventlog

import (
	"errors"
	"fmt"
)

var (
	// ErrClosed is returned by everything that is asked of a closed log.
	ErrClosed = errors.New("the event log is closed")
	// ErrTimeout is returned for a write that was not answered in time. It may still be committed: repeating it with the
	// same event ids and a definite expected revision is safe.
	ErrTimeout = errors.New("the write was not committed in time")
	// ErrDiskFailed refuses every write after the disk has failed to confirm one. See Log.fail.
	ErrDiskFailed = errors.New("the disk failed to confirm a write: nothing is written any more until the event store is started again")
	// ErrMetastream refuses to delete a metadata stream by itself.
	ErrMetastream = errors.New("a metadata stream cannot be deleted: delete the stream it belongs to")
	// ErrInvalidPosition is returned for a position at which no event lies.
	ErrInvalidPosition = errors.New("trying to read from an invalid position")
)

// StreamDeletedError refuses to read, append to or delete a stream that was tombstoned, or that must exist and was deleted.
type StreamDeletedError struct{ Stream string }

func (e *StreamDeletedError) Error() string { return fmt.Sprintf("stream %q is deleted", e.Stream) }

// WrongExpectedVersionError refuses a write because the stream is not at the revision the writer expected.
type WrongExpectedVersionError struct {
	Stream   string
	Expected Expected
	Current  int64 // last revision of the stream, -1 when it has no event
}

func (e *WrongExpectedVersionError) Error() string {
	return fmt.Sprintf("stream %q is at revision %d, expected %d", e.Stream, e.Current, e.Expected)
}
