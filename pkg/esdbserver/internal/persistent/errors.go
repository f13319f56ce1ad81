package persistent

import "errors"

var (
	// ErrExists refuses to create a group that is there.
	ErrExists = errors.New("the persistent subscription exists")
	// ErrNotFound is returned for a group that is not there.
	ErrNotFound = errors.New("the persistent subscription does not exist")
	// ErrTooManyConsumers refuses to connect to a group that has as many consumers as it allows.
	ErrTooManyConsumers = errors.New("the maximum number of subscribers is reached")
	// ErrDropped ends the consumers of a group that was deleted, updated or restarted.
	ErrDropped = errors.New("the persistent subscription was dropped")
	// ErrClosed ends everything when the server stops.
	ErrClosed = errors.New("the persistent subscriptions are closed")
)

// FailedError refuses a request that makes no sense.
type FailedError struct{ Reason string }

func (e *FailedError) Error() string { return e.Reason }
