package e2e

import (
	"errors"
	"testing"
	"time"
)

// final is an error that no waiting mends.
type final struct{ error }

// eventually repeats condition until it holds, and ends the test when it does
// not within [patience].
func eventually(t testing.TB, what string, condition func() error) {
	t.Helper()
	if err := within(t, patience, condition); err != nil {
		t.Fatalf("not so: %s: %v", what, err)
	}
}

// within repeats condition until it holds, for at most that long, and returns
// what was wrong last. Unlike [eventually] it may be called by any goroutine.
func within(t testing.TB, limit time.Duration, condition func() error) error {
	deadline := time.NewTimer(limit)
	defer deadline.Stop()
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	for {
		err := condition()
		if err == nil || errors.As(err, new(final)) {
			return err
		}
		select {
		case <-again.C:
		case <-deadline.C:
			return err
		case <-t.Context().Done():
			return errors.Join(err, t.Context().Err())
		}
	}
}
