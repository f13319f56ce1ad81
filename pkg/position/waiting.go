package position

import (
	"context"
	"sync"
	"time"
)

// State is what a projection knows of an event.
type State string

// The states.
const (
	// Missing: it has not arrived.
	Missing State = "missing"
	// Held: it arrived, could not be applied, and is tried again.
	Held State = "held"
	// Parked: it arrived, could not be applied, and waits for a person.
	Parked State = "parked"
	// Applied: what is read from now on shows it.
	Applied State = "applied"
)

// settled says that waiting any longer changes nothing.
func (s State) settled() bool { return s == Applied || s == Parked }

const (
	// pollEvery is how often it is looked for what another process has applied.
	pollEvery = 500 * time.Millisecond
	// pollFor bounds one such look.
	pollFor = 5 * time.Second
)

// Look tells the state of each position, in their order.
type Look func(ctx context.Context, positions []Position) ([]State, error)

// Waiting is those who wait for a projection. Each looks once when it comes, and
// again when it is woken: by [Waiting.Wake] when this process has applied
// something of the subject, and otherwise by one look for all of them together,
// twice a second, because another process may be the one that applies. Safe for
// concurrent use.
type Waiting struct {
	look Look

	mu   sync.Mutex
	all  map[subject]map[*waiter]struct{}
	stop context.CancelFunc // ends the common look; nil while nobody waits
}

type subject struct{ source, subject string }

func (p Position) about() subject { return subject{p.Source, p.Subject} }

type waiter struct {
	position Position
	woken    chan struct{} // holds one: look again
}

// NewWaiting returns a Waiting without anybody. look asks the projection.
func NewWaiting(look Look) *Waiting {
	return &Waiting{look: look, all: map[subject]map[*waiter]struct{}{}}
}

// Await waits until p is applied or parked, at most for patience, and returns
// its state at the end of that. The only errors are those of looking, and the
// end of ctx.
func (w *Waiting) Await(ctx context.Context, p Position, patience time.Duration) (State, error) {
	me := w.join(p) // before looking, so that nothing is applied unnoticed in between
	defer w.leave(me)
	timer := time.NewTimer(patience)
	defer timer.Stop()
	for {
		states, err := w.look(ctx, []Position{p})
		if err != nil {
			return Missing, err
		}
		if states[0].settled() {
			return states[0], nil
		}
		select {
		case <-me.woken:
		case <-timer.C:
			return states[0], nil
		case <-ctx.Done():
			return states[0], context.Cause(ctx)
		}
	}
}

// Wake has those look again who wait for something about a subject. Call it
// when that is durable. It never blocks.
func (w *Waiting) Wake(source, about string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for waiter := range w.all[subject{source, about}] {
		waiter.wake()
	}
}

func (w *waiter) wake() {
	select {
	case w.woken <- struct{}{}:
	default: // it will look anyway
	}
}

func (w *Waiting) join(p Position) *waiter {
	w.mu.Lock()
	defer w.mu.Unlock()
	me := &waiter{position: p, woken: make(chan struct{}, 1)}
	if w.all[p.about()] == nil {
		w.all[p.about()] = map[*waiter]struct{}{}
	}
	w.all[p.about()][me] = struct{}{}
	if w.stop == nil {
		ctx, cancel := context.WithCancel(context.Background())
		w.stop = cancel
		go w.poll(ctx)
	}
	return me
}

func (w *Waiting) leave(me *waiter) {
	w.mu.Lock()
	defer w.mu.Unlock()
	about := me.position.about()
	delete(w.all[about], me)
	if len(w.all[about]) == 0 {
		delete(w.all, about)
	}
	if len(w.all) == 0 {
		w.stop()
		w.stop = nil
	}
}

// poll looks for all who wait until nobody does.
func (w *Waiting) poll(ctx context.Context) {
	ticker := time.NewTicker(pollEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		positions := w.positions()
		looking, cancel := context.WithTimeout(ctx, pollFor)
		states, err := w.look(looking, positions)
		cancel()
		if err != nil {
			continue // those who wait find out when they look themselves
		}
		for i, p := range positions {
			if states[i].settled() {
				w.wakeFor(p)
			}
		}
	}
}

// positions lists what is waited for, each once.
func (w *Waiting) positions() []Position {
	w.mu.Lock()
	defer w.mu.Unlock()
	var list []Position
	seen := map[Position]bool{}
	for _, waiters := range w.all {
		for waiter := range waiters {
			if !seen[waiter.position] {
				seen[waiter.position] = true
				list = append(list, waiter.position)
			}
		}
	}
	return list
}

func (w *Waiting) wakeFor(p Position) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for waiter := range w.all[p.about()] {
		if waiter.position == p {
			waiter.wake()
		}
	}
}
