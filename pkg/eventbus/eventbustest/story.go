package eventbustest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"orderflow/pkg/eventbus"
)

// subjects is how many subjects a story has, each with a publisher of its own.
const subjects = 3

// story is one interleaving as it happens: a bus for the consumers, one for the
// publishers, two queues and what is known about them.
type story struct {
	t      testing.TB
	h      Harness
	name   string // distinguishes its types and queues from other stories' on the same bus
	queues [sharedQueues]*storyQueue

	consumers, publishers eventbus.Bus
	calls                 [subjects]chan []eventbus.Event // one call after the other
	running               sync.WaitGroup
	next                  [subjects]int // the number of the next event
	calm                  bool          // no consumer has come and gone, and nothing was interrupted

	mu       sync.Mutex
	promised []string
	unknown  error // a publish that failed although nothing was closed
}

func newStory(t testing.TB, h Harness, n int) *story {
	t.Helper()
	s := &story{t: t, h: h, name: fmt.Sprintf("story%d", n), calm: true, consumers: h.Open(t), publishers: h.Open(t)}
	for i := range s.queues {
		s.queues[i] = &storyQueue{
			queue:   eventbus.Queue{Name: fmt.Sprintf("%s-%d", s.name, i), Patterns: []string{s.name + ".#"}},
			handled: map[string]bool{}, first: map[string][]int64{}, known: map[string]bool{},
		}
		declare(t, s.consumers, s.queues[i].queue)
	}
	for i := range s.calls {
		s.calls[i] = make(chan []eventbus.Event, 1000)
		s.running.Go(func() {
			for events := range s.calls[i] {
				s.call(events)
			}
		})
	}
	return s
}

func (s *story) call(events []eventbus.Event) {
	err := s.publishers.Publish(within(s.t), events...)
	s.mu.Lock()
	defer s.mu.Unlock()
	if err != nil {
		s.unknown = errors.Join(s.unknown, err)
		return
	}
	s.promised = append(s.promised, ids(events)...)
}

func (s *story) events(subject, from, to int) (events []eventbus.Event) {
	for n := from; n < to; n++ {
		events = append(events, event(s.name+".events.placed.v1", fmt.Sprint("o", subject), n))
	}
	return events
}

func (s *story) publish(subject, count int) {
	from := s.next[subject]
	s.next[subject] += count
	s.calls[subject] <- s.events(subject, from, from+count)
}

// publishAgain repeats what was published last, as a publisher does that has
// lost its memory of it.
func (s *story) publishAgain(subject, count int) {
	if to := s.next[subject]; to > 0 {
		s.calls[subject] <- s.events(subject, max(0, to-count), to)
	}
}

// reopen closes the bus of the consumers and opens it again. Nobody subscribes.
func (s *story) reopen() {
	if err := s.consumers.Close(within(s.t)); err != nil {
		s.t.Fatalf("close: %v", err)
	}
	for _, q := range s.queues {
		q.subscription = nil
	}
	s.consumers = s.h.Open(s.t)
}

func (s *story) subscribe(q *storyQueue, batch int, troubles []trouble) {
	s.calm = s.calm && q.subscription == nil
	q.close(s.t, false)
	q.mu.Lock()
	q.troubles = troubles
	q.mu.Unlock()
	q.queue.BatchSize = batch
	q.subscription = subscribe(s.t, s.consumers, q.queue, q.handle)
}

// settle lets all calls return and all queues be worked off, by the consumer
// that is there, and reports what is missing or, if asked to, out of order.
func (s *story) settle(ordered bool) error {
	for _, calls := range s.calls {
		close(calls)
	}
	s.running.Wait()
	if s.unknown != nil {
		return fmt.Errorf("publish: %w", s.unknown)
	}
	for _, q := range s.queues {
		if q.subscription == nil {
			s.subscribe(q, 20, nil)
		}
	}
	for _, q := range s.queues {
		eventually(s.t, "everything promised was handled from "+q.queue.Name, func() bool { return q.hasHandled(s.promised) })
		if err := q.inOrder(); ordered && err != nil {
			return err
		}
	}
	return nil
}

func (s *story) end() {
	for _, bus := range []eventbus.Bus{s.consumers, s.publishers} {
		if err := bus.Close(within(s.t)); err != nil {
			s.t.Errorf("close: %v", err)
		}
	}
}

// trouble is how a handler may behave.
type trouble string

const (
	works  trouble = "works"
	fails  trouble = "fails"
	panics trouble = "panics"
)

// storyQueue is a queue, its consumer if it has one, and what was handed out.
type storyQueue struct {
	queue        eventbus.Queue
	subscription eventbus.Subscription

	mu       sync.Mutex
	troubles []trouble          // of the next batches
	handled  map[string]bool    // by id: a handler has returned nil
	known    map[string]bool    // by id: it was handed out
	first    map[string][]int64 // sequences by subject, in the order they were first handed out
}

func (q *storyQueue) handle(_ context.Context, batch []eventbus.Delivery) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, d := range batch {
		if e := d.Event; !q.known[e.ID] {
			q.known[e.ID] = true
			q.first[e.Subject] = append(q.first[e.Subject], e.Sequence)
		}
	}
	if len(q.troubles) > 0 {
		trouble := q.troubles[0]
		q.troubles = q.troubles[1:]
		switch trouble {
		case works:
		case fails:
			return errors.New("the database is down")
		case panics:
			panic("a bug")
		}
	}
	for _, d := range batch {
		q.handled[d.Event.ID] = true
	}
	return nil
}

// close ends the consumer, waiting for its handler or not.
func (q *storyQueue) close(t testing.TB, hasty bool) {
	t.Helper()
	switch {
	case q.subscription == nil:
	case hasty:
		abandon(t, q.subscription)
	default:
		closeSubscription(t, q.subscription)
	}
	q.subscription = nil
}

func (q *storyQueue) hasHandled(all []string) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return !slices.ContainsFunc(all, func(id string) bool { return !q.handled[id] })
}

func (q *storyQueue) inOrder() error {
	q.mu.Lock()
	defer q.mu.Unlock()
	for subject, sequences := range q.first {
		if !slices.IsSorted(sequences) {
			return fmt.Errorf("%s: the events of %s were first handed out in the order %v", q.queue.Name, subject, sequences)
		}
	}
	return nil
}
