package es_test

import (
	"errors"
	"sync"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
)

func TestUpdateAppendsWhatWasDecidedAndReturnsWhatIsThere(t *testing.T) {
	_, _, counters := counters(t)
	id := cause.NewID()
	if _, at, err := counters.Load(within(t), id); !errors.Is(err, es.ErrNotFound) || at != es.NoStream {
		t.Errorf("before: revision %d, %v; want ErrNotFound", at, err)
	}
	for i, want := range []counter{{1, 1}, {3, 2}, {6, 3}} {
		state, at := update(t, counters, id, i+1)
		if state != want || at != es.Revision(i) {
			t.Errorf("got %+v at %d, want %+v at %d", state, at, want, i)
		}
	}
	state, at, err := counters.Load(within(t), id)
	if err != nil || state != (counter{6, 3}) || at != 2 {
		t.Errorf("loaded %+v at %d, %v", state, at, err)
	}
}

func TestSeveralEventsOfOneDecisionAreAppendedTogether(t *testing.T) {
	server, _, counters := counters(t)
	id, c := cause.NewID(), command()
	for range 2 { // the second time it has been carried out already
		state, at, err := counters.Update(within(t), id, c, es.Precondition{},
			func(counter) ([]added, error) { return []added{{1}, {2}, {3}}, nil })
		if err != nil || state != (counter{6, 3}) || at != 2 {
			t.Errorf("got %+v at %d, %v", state, at, err)
		}
	}
	for i, e := range server.Events(t, stream(id)) {
		if want := c.EventID(stream(id), i); e.EventID != want {
			t.Errorf("event %d has id %s, want %s", i, e.EventID, want)
		}
	}
}

func TestADecisionThatWasOvertakenIsMadeAgain(t *testing.T) {
	_, _, counters := counters(t)
	id := cause.NewID()
	update(t, counters, id, 1)
	var seen []counter
	state, at, err := counters.Update(within(t), id, command(), es.Precondition{}, func(c counter) ([]added, error) {
		seen = append(seen, c)
		if len(seen) == 1 {
			update(t, counters, id, 10) // somebody is faster
		}
		return []added{{100}}, nil
	})
	if err != nil || state != (counter{111, 3}) || at != 2 {
		t.Errorf("got %+v at %d, %v: an effect is missing", state, at, err)
	}
	if len(seen) != 2 || seen[0].Sum != 1 || seen[1].Sum != 11 {
		t.Errorf("decided on %+v, want the state before and after the other writer", seen)
	}
}

func TestConcurrentWritersOverwriteNothing(t *testing.T) {
	_, _, counters := counters(t)
	id := cause.NewID()
	const writers, each = 6, 5
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			for range each {
				if _, _, err := counters.Update(within(t), id, command(), es.Precondition{}, add(1)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	group.Wait()
	if state, _, err := counters.Load(within(t), id); err != nil || state.Sum != writers*each {
		t.Errorf("counted %d of %d, %v", state.Sum, writers*each, err)
	}
}

func TestACommandThatIsRepeatedAddsNothingAndSeesThePresent(t *testing.T) {
	_, _, counters := counters(t)
	id, c := cause.NewID(), command()
	if _, _, err := counters.Update(within(t), id, c, es.Precondition{}, add(1)); err != nil {
		t.Fatal(err)
	}
	update(t, counters, id, 10)
	// The revision it was meant for is gone, and that is its own doing.
	state, at, err := counters.Update(within(t), id, c, es.At(es.NoStream), func(counter) ([]added, error) {
		t.Error("decided again")
		return nil, nil
	})
	if err != nil || state != (counter{11, 2}) || at != 1 {
		t.Errorf("got %+v at %d, %v", state, at, err)
	}
}

func TestTheSameCommandFromSeveralSidesHasOneEffect(t *testing.T) {
	server, _, counters := counters(t)
	id, c := cause.NewID(), command()
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			state, at, err := counters.Update(within(t), id, c, es.Precondition{}, add(7))
			if err != nil || state != (counter{7, 1}) || at != 0 {
				t.Errorf("got %+v at %d, %v", state, at, err)
			}
		})
	}
	group.Wait()
	if n := len(server.Events(t, stream(id))); n != 1 {
		t.Errorf("%d events", n)
	}
}

func TestOneCauseMayChangeSeveralAggregates(t *testing.T) {
	_, _, counters := counters(t)
	c := command()
	for range 3 {
		state, _, err := counters.Update(within(t), cause.NewID(), c, es.Precondition{}, add(1))
		if err != nil || state.Count != 1 {
			t.Errorf("got %+v, %v", state, err)
		}
	}
}

func TestAPreconditionThatDoesNotHoldIsStale(t *testing.T) {
	_, _, counters := counters(t)
	id := cause.NewID()
	for _, step := range []struct {
		at   es.Revision
		want error
	}{{0, es.ErrStale}, {es.NoStream, nil}, {es.NoStream, es.ErrStale}, {1, es.ErrStale}, {0, nil}, {0, es.ErrStale}, {1, nil}} {
		_, _, err := counters.Update(within(t), id, command(), es.At(step.at), add(1))
		if !errors.Is(err, step.want) {
			t.Errorf("at %d: got %v, want %v", step.at, err, step.want)
		}
	}
	for _, step := range []struct {
		at   []es.Revision
		want error
	}{{nil, es.ErrStale}, {[]es.Revision{0, 1}, es.ErrStale}, {[]es.Revision{7, 2}, nil}} {
		if _, _, err := counters.Update(within(t), id, command(), es.At(step.at...), add(1)); !errors.Is(err, step.want) {
			t.Errorf("at one of %d: got %v, want %v", step.at, err, step.want)
		}
	}
	// It is looked at again when another writer came in between.
	_, _, err := counters.Update(within(t), id, command(), es.At(3), func(counter) ([]added, error) {
		update(t, counters, id, 1)
		return []added{{1}}, nil
	})
	if !errors.Is(err, es.ErrStale) {
		t.Errorf("overtaken: got %v, want ErrStale", err)
	}
}

func TestADecisionAgainstWritesNothing(t *testing.T) {
	server, _, counters := counters(t)
	id := cause.NewID()
	update(t, counters, id, 1)
	refusal := errors.New("no")
	for name, decision := range map[string]struct {
		events []added
		err    error
		want   error
	}{
		"refused":       {nil, refusal, refusal},
		"nothing to do": {nil, nil, nil},
		"not encodable": {[]added{{1}, {-1}}, nil, errCodec},
	} {
		state, at, err := counters.Update(within(t), id, command(), es.Precondition{},
			func(counter) ([]added, error) { return decision.events, decision.err })
		if !errors.Is(err, decision.want) || state != (counter{1, 1}) || at != 0 {
			t.Errorf("%s: got %+v at %d, %v", name, state, at, err)
		}
	}
	if n := len(server.Events(t, stream(id))); n != 1 {
		t.Errorf("%d events", n)
	}
}

func TestACommandThatAlwaysLosesGivesUp(t *testing.T) {
	_, _, counters := counters(t)
	id := cause.NewID()
	asked := 0
	_, _, err := counters.Update(within(t), id, command(), es.Precondition{}, func(counter) ([]added, error) {
		asked++
		update(t, counters, id, 1)
		return []added{{1000}}, nil
	})
	if !errors.Is(err, es.ErrContended) {
		t.Errorf("got %v, want ErrContended", err)
	}
	if state, _, err := counters.Load(within(t), id); err != nil || state.Sum != asked {
		t.Errorf("sum %d after %d other writers, %v", state.Sum, asked, err)
	}
}

func TestAStreamThatCannotBeReadIsNotWrittenTo(t *testing.T) {
	server, store, counters := counters(t)
	for name, broken := range map[string]struct {
		typ, data, metadata string
		want                error
	}{
		"unknown type":             {"subtracted", `{}`, `{}`, errCodec},
		"metadata is no JSON":      {"added", `{"N":1}`, `{"version":`, es.ErrUnreadable},
		"metadata of another form": {"added", `{"N":1}`, `{"version":"one"}`, es.ErrUnreadable},
	} {
		id := cause.NewID()
		update(t, counters, id, 1)
		write(t, server, stream(id), broken.typ, broken.data, broken.metadata)
		if _, _, err := counters.Update(within(t), id, command(), es.Precondition{}, add(1)); !errors.Is(err, broken.want) {
			t.Errorf("%s: updating: got %v, want %v", name, err, broken.want)
		}
		if _, _, err := counters.Load(within(t), id); !errors.Is(err, broken.want) {
			t.Errorf("%s: loading: got %v, want %v", name, err, broken.want)
		}
		events, err := store.ReadStream(within(t), stream(id), 0)
		if err != nil || len(events) != 2 {
			t.Fatalf("%s: %d events, %v", name, len(events), err)
		}
		if unreadable := broken.want == es.ErrUnreadable; errors.Is(events[1].Unreadable, es.ErrUnreadable) != unreadable { //nolint:errorlint // a table
			t.Errorf("%s: unreadable is %v", name, events[1].Unreadable)
		}
	}
}

func TestADeletedStreamIsNotFoundAndStaysDeleted(t *testing.T) {
	server, _, counters := counters(t)
	id := cause.NewID()
	update(t, counters, id, 1)
	if _, err := server.Client(t).TombstoneStream(within(t), stream(id), esdb.TombstoneStreamOptions{}); err != nil {
		t.Fatal(err)
	}
	if _, _, err := counters.Load(within(t), id); !errors.Is(err, es.ErrNotFound) {
		t.Errorf("loading: got %v, want ErrNotFound", err)
	}
	if _, _, err := counters.Update(within(t), id, command(), es.Precondition{}, add(1)); !errors.Is(err, es.ErrNotFound) {
		t.Errorf("updating: got %v, want ErrNotFound", err)
	}
}
