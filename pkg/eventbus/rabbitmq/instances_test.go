package rabbitmq_test

import (
	"context"
	"testing"

	"orderflow/pkg/eventbus"
)

// Two instances that shared the deliveries would handle two events of one
// subject at the same time, and in any order.
func TestSeveralInstancesKeepTheOrderOfASubject(t *testing.T) {
	requireBroker(t)
	const count = 2000
	w := newWorld(t)
	var crm received
	busy := make(chan struct{}, 1)
	handle := func(ctx context.Context, batch []eventbus.Delivery) error {
		select {
		case busy <- struct{}{}:
		default:
			t.Error("two instances handle at the same time")
			return crm.handle(ctx, batch)
		}
		defer func() { <-busy }()
		return crm.handle(ctx, batch)
	}
	first, second := closing(t, w.open(t)), closing(t, w.open(t))
	running := subscribe(t, first, handle, "order.#")
	standby := subscribe(t, second, handle, "order.#")
	eventually(t, "both are ready", func() bool { return running.Ready() == nil && standby.Ready() == nil })
	events := make([]eventbus.Event, count)
	for n := range events {
		events[n] = placed(n)
	}
	published := make(chan error, 1)
	go func() { published <- second.Publish(within(t), events...) }()
	eventually(t, "a part is handled", func() bool { return crm.count() > count/4 })
	if err := running.Close(within(t)); err != nil { // the other one takes over
		t.Fatal(err)
	}
	if err := <-published; err != nil {
		t.Fatal(err)
	}
	eventually(t, "all are handled", func() bool { return crm.count() == count })
	for n, id := range crm.firsts() {
		if id != placed(n).ID {
			t.Fatalf("%s came where %s was due", id, placed(n).ID)
		}
	}
	if n := second.(notingBus).Stats().Delivered; n == 0 {
		t.Error("the test is wrong: the second instance had nothing to do")
	}
}
