package eventbustest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"orderflow/pkg/eventbus"
)

func publishing() []promise {
	return []promise{
		{"EveryCallLearnsItsOwnOutcome", everyCallLearnsItsOutcome},
		{"AGivenUpPublishHarmsNoOther", givenUpPublish},
		{"ClosingKeepsEveryPublishThatReturnedNil", publishDuringClose},
		{"ACommandNobodyTakesHarmsNoOther", unroutableHarmsNoOther},
		{"ANewListenerIsSeenByEveryPublisher", newListenerIsSeen},
		{"TextsTooLongForABrokerAreRefused", longTexts},
		{"ABatchOfLargeEventsArrives", largeBatch},
	}
}

// Single calls, batch calls and commands nobody takes share what connects the
// bus while it breaks. Each call must learn about its own events, and each of
// the many subjects must stay in order, though every one of them is repeated in
// part.
func everyCallLearnsItsOutcome(t *testing.T, h Harness) {
	const singles, batches, rounds, size = 16, 4, 25, 20
	var crm inbox
	bus := open(t, h)
	subscribe(t, open(t, h), eventbus.Queue{Name: "crm", Patterns: []string{"order.events.#"}}, crm.handle)
	var progress atomic.Int64
	var running sync.WaitGroup
	each := func(what string, call func(round int) error, want error) {
		running.Go(func() {
			for round := range rounds {
				if err := call(round); !errors.Is(err, want) {
					t.Errorf("%s, round %d: got %v, want %v", what, round, err, want)
					return
				}
				progress.Add(1)
			}
		})
	}
	want := map[string][]string{}
	for n := range singles {
		order := fmt.Sprint("single-", n)
		want[order] = ids(series(order, rounds))
		each(order, func(round int) error { return bus.Publish(within(t), placed(order, round)) }, nil)
	}
	for n := range batches {
		order := fmt.Sprint("batch-", n)
		all := series(order, rounds*size)
		want[order] = ids(all)
		each(order, func(round int) error { return bus.Publish(within(t), all[round*size:(round+1)*size]...) }, nil)
	}
	each("commands", func(round int) error {
		return bus.Publish(within(t), event("order.commands.cancel.v1", "nobody", round))
	}, eventbus.ErrUnroutable)
	const calls = (singles + batches + 1) * rounds
	for _, part := range []int64{calls / 4, calls / 2, calls * 3 / 4} {
		eventually(t, "some calls have returned", func() bool { return progress.Load() >= part || t.Failed() })
		h.Interrupt(t)
	}
	running.Wait()
	crm.await(t, singles*rounds+batches*rounds*size)
	got := map[string][]string{}
	seen := map[string]bool{}
	for _, d := range crm.deliveries() {
		if !seen[d.Event.ID] {
			seen[d.Event.ID] = true
			got[d.Event.Subject] = append(got[d.Event.Subject], d.Event.ID)
		}
	}
	for subject, list := range want {
		sameIDs(t, got[subject], list)
	}
}

// Callers give up at any moment. Whoever was told nil was told the truth, and
// those beside them notice nothing.
func givenUpPublish(t *testing.T, h Harness) {
	const callers, rounds = 6, 40
	var crm inbox
	bus := open(t, h)
	subscribe(t, open(t, h), eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}}, crm.handle)
	var mu sync.Mutex
	var promised []string
	var running sync.WaitGroup
	for caller := range callers {
		running.Go(func() {
			for round := range rounds {
				events := series(fmt.Sprintf("o%d-%d", caller, round), 1+round%7)
				ctx, cancel := within(t), context.CancelFunc(func() {})
				if caller > 0 { // the first one never gives up
					ctx, cancel = context.WithTimeout(ctx, time.Duration(round*50)*time.Microsecond)
				}
				err := bus.Publish(ctx, events...)
				cancel()
				switch {
				case err == nil:
					mu.Lock()
					promised = append(promised, ids(events)...)
					mu.Unlock()
				case caller == 0 || !errors.Is(err, context.DeadlineExceeded):
					t.Errorf("caller %d, round %d: %v", caller, round, err)
					return
				}
			}
		})
	}
	running.Wait()
	eventually(t, "everything promised has arrived", func() bool {
		arrived := map[string]bool{}
		for _, id := range crm.ids() {
			arrived[id] = true
		}
		return !slices.ContainsFunc(promised, func(id string) bool { return !arrived[id] })
	})
	reporter, ok := bus.(eventbus.Reporter)
	if !ok {
		t.Fatal("the bus does not count")
	}
	eventually(t, "nothing is on its way any more", func() bool { return reporter.Stats().InFlight == 0 })
}

func publishDuringClose(t *testing.T, h Harness) {
	const publishers = 8
	queue := eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}}
	bus := h.Open(t)
	declare(t, bus, queue)
	var mu sync.Mutex
	var promised []string
	var count atomic.Int64
	var running sync.WaitGroup
	for p := range publishers {
		running.Go(func() {
			for round := 0; ; round++ {
				events := series(fmt.Sprintf("o%d-%d", p, round), 1+p%3)
				if err := bus.Publish(within(t), events...); err != nil {
					if !errors.Is(err, eventbus.ErrClosed) {
						t.Errorf("publish while the bus closes: %v", err)
					}
					return
				}
				mu.Lock()
				promised = append(promised, ids(events)...)
				mu.Unlock()
				count.Add(1)
			}
		})
	}
	eventually(t, "publishing is in full swing", func() bool { return count.Load() >= 40 })
	if err := bus.Close(within(t)); err != nil {
		t.Fatalf("close: %v", err)
	}
	running.Wait()
	var crm inbox
	subscribe(t, open(t, h), queue, crm.handle)
	crm.await(t, len(promised))
	sameIDs(t, slices.Sorted(slices.Values(crm.firsts())), slices.Sorted(slices.Values(promised)))
}

func unroutableHarmsNoOther(t *testing.T, h Harness) {
	var crm inbox
	bus := open(t, h)
	subscribe(t, bus, eventbus.Queue{Name: "crm", Patterns: []string{"order.events.#"}}, crm.handle)
	events := series("o1", 10)
	command := event("order.commands.cancel.v1", "o1", 1)
	err := bus.Publish(within(t), slices.Insert(slices.Clone(events), 5, command)...)
	if !errors.Is(err, eventbus.ErrUnroutable) || !strings.Contains(err.Error(), command.ID) {
		t.Fatalf("got %v, want ErrUnroutable naming %s", err, command.ID)
	}
	publish(t, bus, events...) // without it, as the caller is told to do
	crm.await(t, len(events))
	sameIDs(t, crm.firsts(), ids(events))
}

func newListenerIsSeen(t *testing.T, h Harness) {
	publisher := open(t, h)
	command := event("order.commands.cancel.v1", "o1", 1)
	if err := publisher.Publish(within(t), command); !errors.Is(err, eventbus.ErrUnroutable) {
		t.Fatalf("got %v, want ErrUnroutable", err)
	}
	var order inbox
	s := subscribe(t, open(t, h), eventbus.Queue{Name: "order", Patterns: []string{"order.commands.#"}}, order.handle)
	publish(t, publisher, command)
	order.await(t, 1)
	if err := s.Unsubscribe(within(t)); err != nil {
		t.Fatalf("unsubscribe: %v", err)
	}
	if err := publisher.Publish(within(t), command); !errors.Is(err, eventbus.ErrUnroutable) {
		t.Fatalf("got %v, want ErrUnroutable again", err)
	}
}

// What would not fit into the header of a message must be refused before it is
// sent: a broker closes the connection, every time it is sent again.
func longTexts(t *testing.T, h Harness) {
	bus := open(t, h)
	for name, spoil := range map[string]func(e *eventbus.Event, text string){
		"correlation id": func(e *eventbus.Event, text string) { e.CorrelationID = text },
		"causation id":   func(e *eventbus.Event, text string) { e.CausationID = text },
		"traceparent":    func(e *eventbus.Event, text string) { e.TraceParent = text },
	} {
		bad := placed("o1", 1)
		spoil(&bad, strings.Repeat("x", 200_000))
		if err := bus.Publish(within(t), bad); !errors.Is(err, eventbus.ErrInvalidEvent) {
			t.Errorf("%s: got %.200v, want ErrInvalidEvent", name, err)
		}
	}
	publish(t, bus, placed("o1", 2))
}

func largeBatch(t *testing.T, h Harness) {
	const count, size = 24, 1 << 20
	var crm inbox
	bus := open(t, h)
	subscribe(t, bus, eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}, BatchSize: 4}, crm.handle)
	events := series("o1", count)
	for n := range events {
		events[n].DataContentType = "application/octet-stream"
		events[n].Data = make([]byte, size)
		events[n].Data[0], events[n].Data[size-1] = byte(n), byte(n)
	}
	publish(t, bus, events...)
	crm.await(t, count)
	sameIDs(t, crm.ids(), ids(events))
	for n, d := range crm.deliveries() {
		if data := d.Event.Data; len(data) != size || data[0] != byte(n) || data[size-1] != byte(n) {
			t.Errorf("event %d arrived with %d bytes", n, len(data))
		}
	}
}
