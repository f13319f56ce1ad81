package position_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"orderflow/pkg/position"
)

// projection applies what it is told to.
type projection struct {
	mu     sync.Mutex
	states map[position.Position]position.State
	looks  atomic.Int64
	err    error
}

func (p *projection) set(at position.Position, s position.State) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.states == nil {
		p.states = map[position.Position]position.State{}
	}
	p.states[at] = s
}

func (p *projection) look(ctx context.Context, positions []position.Position) ([]position.State, error) {
	p.looks.Add(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	states := make([]position.State, len(positions))
	for i, at := range positions {
		states[i] = position.Missing
		if s, known := p.states[at]; known {
			states[i] = s
		}
	}
	return states, errors.Join(p.err, ctx.Err())
}

func at(subject string, sequence int64) position.Position {
	return position.Position{Source: "/test", Subject: subject, Name: "test.events.happened", Sequence: sequence}
}

type outcome struct {
	state position.State
	err   error
	after time.Duration
}

// await waits beside the caller.
func await(ctx context.Context, w *position.Waiting, p position.Position, patience time.Duration) <-chan outcome {
	done := make(chan outcome, 1)
	began := time.Now()
	go func() {
		state, err := w.Await(ctx, p, patience)
		done <- outcome{state, err, time.Since(began)}
	}()
	return done
}

func TestWhatIsAppliedIsAnsweredWithOneLook(t *testing.T) {
	var p projection
	p.set(at("a", 1), position.Applied)
	p.set(at("a", 2), position.Parked)
	w := position.NewWaiting(p.look)
	for sequence, want := range map[int64]position.State{1: position.Applied, 2: position.Parked} {
		if state, err := w.Await(t.Context(), at("a", sequence), time.Hour); state != want || err != nil {
			t.Errorf("%s, %v", state, err)
		}
	}
	if p.looks.Load() != 2 {
		t.Errorf("%d looks", p.looks.Load())
	}
}

func TestWhoeverWaitsIsWokenByWhatThisProcessApplies(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p projection
		w := position.NewWaiting(p.look)
		var waiting []<-chan outcome
		for range 100 {
			waiting = append(waiting, await(t.Context(), w, at("a", 1), time.Minute))
		}
		other := await(t.Context(), w, at("b", 1), time.Minute)
		synctest.Wait()
		before := p.looks.Load()
		w.Wake("/test", "a") // something else about it
		synctest.Wait()
		p.set(at("a", 1), position.Applied)
		w.Wake("/other", "a")
		w.Wake("/test", "a")
		for _, done := range waiting {
			if o := <-done; o.state != position.Applied || o.err != nil || o.after != 0 {
				t.Fatalf("%+v", o)
			}
		}
		if looks := p.looks.Load() - before; looks != 200 {
			t.Errorf("%d looks of 100 who were woken twice", looks)
		}
		if o := <-other; o.state != position.Missing || o.err != nil || o.after != time.Minute {
			t.Errorf("%+v", o)
		}
	})
}

func TestWhatAnotherProcessAppliesIsFoundByOneLookForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p projection
		w := position.NewWaiting(p.look)
		var waiting []<-chan outcome
		for i := range 100 {
			waiting = append(waiting, await(t.Context(), w, at("a", int64(i%10)), time.Minute))
		}
		synctest.Wait()
		before := p.looks.Load()
		<-time.After(10*time.Second + time.Millisecond)
		synctest.Wait()
		if looks := p.looks.Load() - before; looks != 20 {
			t.Errorf("%d looks in 10 s with 100 who wait", looks)
		}
		for i := range int64(10) {
			p.set(at("a", i), position.Applied)
		}
		for _, done := range waiting {
			if o := <-done; o.state != position.Applied || o.after > 11*time.Second {
				t.Errorf("%+v", o)
			}
		}
		before = p.looks.Load()
		<-time.After(time.Minute)
		if looks := p.looks.Load() - before; looks != 0 {
			t.Errorf("%d looks while nobody waits", looks)
		}
	})
}

func TestPatienceEndsWithTheStateAtItsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p projection
		w := position.NewWaiting(p.look)
		if o := <-await(t.Context(), w, at("a", 1), 0); o.state != position.Missing || o.err != nil || o.after != 0 {
			t.Errorf("without patience: %+v", o)
		}
		p.set(at("a", 1), position.Held)
		if o := <-await(t.Context(), w, at("a", 1), 3*time.Second); o.state != position.Held || o.err != nil || o.after != 3*time.Second {
			t.Errorf("held: %+v", o)
		}
	})
}

func TestAwaitEndsWithItsContextAndWithErrorsOfLooking(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p projection
		w := position.NewWaiting(p.look)
		gone := errors.New("the client went away")
		ctx, cancel := context.WithCancelCause(t.Context())
		done := await(ctx, w, at("a", 1), time.Minute)
		synctest.Wait()
		cancel(gone)
		if o := <-done; !errors.Is(o.err, gone) || o.after != 0 {
			t.Errorf("%+v", o)
		}
		p.err = errors.New("no database")
		if o := <-await(t.Context(), w, at("a", 1), time.Minute); !errors.Is(o.err, p.err) {
			t.Errorf("%+v", o)
		}
	})
}
