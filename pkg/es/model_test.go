package es_test

import (
	"errors"
	"sync"
	"testing"

	"pgregory.net/rapid"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
)

var errTooMuch = errors.New("the limit is reached")

// step is a command and how often it is sent.
type step struct {
	n      int
	repeat int
	cause  cause.Cause
}

// TestAnyCommandsFromSeveralSidesAgreeWithTheModel sends random commands, some
// of them repeatedly, from several goroutines to a counter with a limit. However
// they meet: every command that was accepted counts once, none that was refused
// counts, and the rule holds at every revision.
func TestAnyCommandsFromSeveralSidesAgreeWithTheModel(t *testing.T) {
	_, store, counters := counters(t)
	rapid.Check(t, func(rt *rapid.T) {
		id, limit := cause.NewID(), rapid.IntRange(1, 30).Draw(rt, "limit")
		decide := func(n int) func(counter) ([]added, error) {
			return func(c counter) ([]added, error) {
				switch {
				case n == 0:
					return nil, nil
				case c.Sum+n > limit:
					return nil, errTooMuch
				case n > 5: // in two parts
					return []added{{n - 5}, {5}}, nil
				}
				return []added{{n}}, nil
			}
		}
		plans := rapid.SliceOfN(rapid.SliceOfN(rapid.Custom(func(rt *rapid.T) step {
			return step{rapid.IntRange(0, 9).Draw(rt, "n"), rapid.IntRange(1, 2).Draw(rt, "repeat"), command()}
		}), 1, 3), 1, 3).Draw(rt, "plans")

		var mu sync.Mutex
		accepted := 0
		var group sync.WaitGroup
		for _, plan := range plans {
			group.Go(func() {
				for _, s := range plan {
					took := false
					for range s.repeat {
						state, _, err := counters.Update(within(t), id, s.cause, es.Precondition{}, decide(s.n))
						switch {
						case err == nil:
							took = true
						case !errors.Is(err, errTooMuch) || took:
							rt.Errorf("adding %d: %v", s.n, err)
						}
						if state.Sum > limit {
							rt.Errorf("%+v is above the limit %d", state, limit)
						}
					}
					if took {
						mu.Lock()
						accepted += s.n
						mu.Unlock()
					}
				}
			})
		}
		group.Wait()
		state, at, err := counters.Load(within(t), id)
		if errors.Is(err, es.ErrNotFound) {
			at, err = es.NoStream, nil
		}
		if err != nil || state.Sum != accepted || int(at) != state.Count-1 {
			rt.Errorf("%+v at %d, %v; accepted %d", state, at, err, accepted)
		}
		if _, err := store.ReadStream(within(t), stream(id), 0); err != nil && !errors.Is(err, es.ErrNotFound) {
			rt.Error(err)
		}
	})
}
