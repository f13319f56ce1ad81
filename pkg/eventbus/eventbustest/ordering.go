package eventbustest

import (
	"context"
	"fmt"
	"sync"
	"testing"

	"orderflow/pkg/eventbus"
)

func ordering() []promise {
	return []promise{
		{"EventsOfASubjectKeepTheirOrderWhateverTheirTypes", typesKeepTheOrder},
		{"InstancesOfAServiceDoNotInterleaveASubject", instancesKeepTheOrder},
		{"EveryConsumerOfABusComesBackAfterEveryInterruption", everyConsumerComesBack},
	}
}

// typesKeepTheOrder publishes what happens to a few orders, each as an event of
// another type: a queue is not divided by type.
func typesKeepTheOrder(t *testing.T, h Harness) {
	var crm inbox
	bus := open(t, h)
	subscribe(t, bus, eventbus.Queue{Name: "crm", Patterns: []string{"order.#", "packing.#", "dispatch.#"}}, crm.handle)
	var events []eventbus.Event
	for n := range 90 {
		e := placed(fmt.Sprint("o", n%3), n)
		e.Type = []string{"order.events.placed.v1", "packing.events.packed.v1", "dispatch.events.dispatched.v1"}[n/3%3]
		events = append(events, e)
	}
	publish(t, bus, events...)
	crm.await(t, len(events))
	sameIDs(t, crm.ids(), ids(events))
}

// instancesKeepTheOrder has three instances note what they handle in one list,
// as the rows of one read model do.
func instancesKeepTheOrder(t *testing.T, h Harness) {
	const total, subjects = 600, 5
	var mu sync.Mutex
	seen := map[string]int64{} // the last sequence of each subject
	count := 0
	handle := func(_ context.Context, batch []eventbus.Delivery) error {
		for _, d := range batch {
			mu.Lock()
			if before, known := seen[d.Event.Subject]; known && d.Event.Sequence <= before {
				t.Errorf("event %d of %s came after %d", d.Event.Sequence, d.Event.Subject, before)
			}
			seen[d.Event.Subject] = d.Event.Sequence
			count++
			mu.Unlock()
		}
		return nil
	}
	queue := eventbus.Queue{Name: "packing", Patterns: []string{"order.events.#"}, BatchSize: 7}
	for range 3 {
		subscribe(t, open(t, h), queue, handle)
	}
	publisher := open(t, h)
	var events []eventbus.Event
	for n := range total {
		events = append(events, placed(fmt.Sprint("o", n%subjects), n))
	}
	publish(t, publisher, events...)
	eventually(t, "everything was handled", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return count >= total
	})
}

// everyConsumerComesBack breaks the connection more than once, and looks at
// every consumer each time.
func everyConsumerComesBack(t *testing.T, h Harness) {
	const consumers = 4
	bus := open(t, h)
	inboxes := make([]inbox, consumers)
	for n := range consumers {
		subscribe(t, bus, eventbus.Queue{Name: fmt.Sprint("service", n), Patterns: []string{"order.#"}}, inboxes[n].handle)
	}
	for round := range 3 {
		publish(t, bus, placed("o1", round))
		for n := range consumers {
			eventually(t, fmt.Sprintf("consumer %d has event %d", n, round), func() bool { return len(inboxes[n].firsts()) == round+1 })
		}
		h.Interrupt(t)
	}
}
