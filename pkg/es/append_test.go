package es_test

import (
	"errors"
	"testing"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
)

func TestAppendWritesWhereTheStreamIsKnownToStandAndNowhereElse(t *testing.T) {
	server, _, counters := counters(t)
	id, first, second := cause.NewID(), command(), command()
	appended := func(c cause.Cause, at es.Revision, n int) error {
		t.Helper()
		return counters.Append(within(t), id, c, at, []added{{n}})
	}
	for range 2 { // the second time it has been carried out already
		if err := appended(first, es.NoStream, 1); err != nil {
			t.Error(err)
		}
	}
	for _, elsewhere := range []es.Revision{es.NoStream, 1, 7} {
		if err := appended(second, elsewhere, 2); !errors.Is(err, es.ErrWrongRevision) {
			t.Errorf("after %d: %v", elsewhere, err)
		}
	}
	if err := appended(second, 0, 2); err != nil {
		t.Error(err)
	}
	if err := appended(command(), 1, -1); !errors.Is(err, errCodec) {
		t.Errorf("what cannot be encoded: %v", err)
	}
	// Update recognises what Append has written, and the other way round.
	if state, at, err := counters.Update(within(t), id, second, es.Precondition{}, add(2)); err != nil || at != 1 || state != (counter{3, 2}) {
		t.Errorf("%+v at %d, %v", state, at, err)
	}
	if n := len(server.Events(t, stream(id))); n != 2 {
		t.Errorf("%d events", n)
	}
}
