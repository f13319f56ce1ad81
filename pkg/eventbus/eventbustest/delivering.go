package eventbustest

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"

	"orderflow/pkg/eventbus"
)

func delivering() []promise {
	return []promise{
		{"EachServiceGetsItsOwnCopy", eachServiceGetsItsOwnCopy},
		{"InstancesOfAServiceShareItsQueue", instancesShareAQueue},
		{"AnInstanceTakesOverFromAnother", instanceTakesOver},
		{"AServiceThatWasDownGetsWhatItMissed", downServiceCatchesUp},
		{"ConcurrentPublishersLoseNothing", concurrentPublishers},
		{"OneCallKeepsTheOrderOfThousands", orderOfThousands},
		{"ABatchHasAtMostItsSize", batchLimit},
		{"ABatchIsNeverWaitedFor", batchIsNotAwaited},
		{"BatchesComeOneAfterTheOther", batchesDoNotOverlap},
		{"ASlowServiceHoldsUpNoOther", slowServiceHoldsUpNoOther},
		{"AHandlerMayPublish", handlerMayPublish},
	}
}

func eachServiceGetsItsOwnCopy(t *testing.T, h Harness) {
	var packing, crm inbox
	publisher := open(t, h)
	subscribe(t, open(t, h), eventbus.Queue{Name: "packing", Patterns: []string{"order.events.#"}}, packing.handle)
	subscribe(t, open(t, h), eventbus.Queue{Name: "crm", Patterns: []string{"order.events.#"}}, crm.handle)
	events := series("o1", 20)
	publish(t, publisher, events...)
	packing.await(t, 20)
	crm.await(t, 20)
	sameIDs(t, packing.ids(), ids(events))
	sameIDs(t, crm.ids(), ids(events))
}

func instancesShareAQueue(t *testing.T, h Harness) {
	var one, two inbox
	queue := eventbus.Queue{Name: "packing", Patterns: []string{"order.events.#"}, BatchSize: 5}
	publisher := open(t, h)
	subscribe(t, open(t, h), queue, one.handle)
	subscribe(t, open(t, h), queue, two.handle)
	events := series("o1", 200)
	publish(t, publisher, events...)
	eventually(t, "both together have everything", func() bool { return len(one.ids())+len(two.ids()) >= len(events) })
	together := append(one.ids(), two.ids()...)
	slices.Sort(together)
	sameIDs(t, together, slices.Sorted(slices.Values(ids(events))))
}

func instanceTakesOver(t *testing.T, h Harness) {
	var one, two inbox
	queue := eventbus.Queue{Name: "packing", Patterns: []string{"order.events.#"}}
	publisher := open(t, h)
	first := subscribe(t, open(t, h), queue, one.handle)
	subscribe(t, open(t, h), queue, two.handle)
	publish(t, publisher, series("o1", 10)...)
	eventually(t, "ten events", func() bool { return len(one.ids())+len(two.ids()) >= 10 })
	closeSubscription(t, first)
	had := len(two.ids())
	publish(t, publisher, series("o2", 10)...)
	two.await(t, had+10)
}

func downServiceCatchesUp(t *testing.T, h Harness) {
	queue := eventbus.Queue{Name: "reporting", Patterns: []string{"order.events.#"}}
	bus := open(t, h)
	declare(t, bus, queue)
	events := series("o1", 250)
	publish(t, bus, events...)
	var reporting inbox
	subscribe(t, bus, queue, reporting.handle)
	reporting.await(t, len(events))
	sameIDs(t, reporting.ids(), ids(events))
}

func concurrentPublishers(t *testing.T, h Harness) {
	const publishers, each = 8, 60
	var crm inbox
	subscribe(t, open(t, h), eventbus.Queue{Name: "crm", Patterns: []string{"#"}}, crm.handle)
	buses := []eventbus.Bus{open(t, h), open(t, h)}
	var running sync.WaitGroup
	for p := range publishers {
		running.Go(func() {
			for n := range each {
				if err := buses[p%2].Publish(within(t), placed(fmt.Sprint("o", p), n)); err != nil {
					t.Errorf("publisher %d: %v", p, err)
					return
				}
			}
		})
	}
	running.Wait()
	crm.await(t, publishers*each)
	bySubject := map[string][]string{}
	for _, d := range crm.deliveries() {
		bySubject[d.Event.Subject] = append(bySubject[d.Event.Subject], d.Event.ID)
	}
	for p := range publishers {
		order := fmt.Sprint("o", p)
		sameIDs(t, bySubject[order], ids(series(order, each)))
	}
}

func orderOfThousands(t *testing.T, h Harness) {
	var crm inbox
	bus := open(t, h)
	subscribe(t, bus, eventbus.Queue{Name: "crm", Patterns: []string{"order.events.placed.v1"}}, crm.handle)
	events := series("o1", 3000) // more than any window or transaction
	publish(t, bus, events...)
	crm.await(t, len(events))
	sameIDs(t, crm.ids(), ids(events))
}

func batchLimit(t *testing.T, h Harness) {
	queue := eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}, BatchSize: 7}
	bus := open(t, h)
	declare(t, bus, queue)
	publish(t, bus, series("o1", 50)...)
	var crm inbox
	subscribe(t, bus, queue, crm.handle)
	crm.await(t, 50)
	for _, size := range crm.sizes() {
		if size < 1 || size > 7 {
			t.Fatalf("a batch of %d, want 1 to 7 (all: %v)", size, crm.sizes())
		}
	}
}

func batchIsNotAwaited(t *testing.T, h Harness) {
	var crm inbox
	bus := open(t, h)
	subscribe(t, bus, eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}, BatchSize: 100}, crm.handle)
	for n := range 5 {
		publish(t, bus, placed("o1", n))
		crm.await(t, n+1) // arrives although 99 more would fit
	}
}

func batchesDoNotOverlap(t *testing.T, h Harness) {
	var crm inbox
	running := make(chan struct{}, 1)
	bus := open(t, h)
	subscribe(t, bus, eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}, BatchSize: 3},
		func(ctx context.Context, batch []eventbus.Delivery) error {
			select {
			case running <- struct{}{}:
			default:
				t.Error("two batches at the same time")
			}
			defer func() { <-running }()
			return crm.handle(ctx, batch)
		})
	publish(t, bus, series("o1", 60)...)
	crm.await(t, 60)
}

func slowServiceHoldsUpNoOther(t *testing.T, h Harness) {
	var quick inbox
	release := make(chan struct{})
	entered := make(chan struct{}, 100)
	bus := open(t, h)
	subscribe(t, bus, eventbus.Queue{Name: "slow", Patterns: []string{"order.#"}},
		func(context.Context, []eventbus.Delivery) error {
			entered <- struct{}{}
			<-release
			return nil
		})
	subscribe(t, bus, eventbus.Queue{Name: "quick", Patterns: []string{"order.#"}}, quick.handle)
	publish(t, bus, placed("o1", 0))
	recv(t, "the slow service has begun", entered)
	publish(t, bus, series("o2", 20)...)
	quick.await(t, 21)
	close(release)
}

func handlerMayPublish(t *testing.T, h Harness) {
	var dispatch inbox
	bus := open(t, h)
	subscribe(t, bus, eventbus.Queue{Name: "packing", Patterns: []string{"order.#"}},
		func(ctx context.Context, batch []eventbus.Delivery) error {
			for _, d := range batch {
				if err := bus.Publish(ctx, event("packing.events.packed.v1", d.Event.Subject, int(d.Event.Sequence))); err != nil {
					return err
				}
			}
			return nil
		})
	subscribe(t, bus, eventbus.Queue{Name: "dispatch", Patterns: []string{"packing.#"}}, dispatch.handle)
	publish(t, bus, series("o1", 30)...)
	dispatch.await(t, 30)
}
