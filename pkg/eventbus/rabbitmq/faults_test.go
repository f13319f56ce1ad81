package rabbitmq_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/faultproxy"
)

// traffic is a publisher and a consumer under load, each behind a proxy of its
// own, and the account of what became of every event.
type traffic struct {
	w                    *world
	toPublish, toConsume *faultproxy.Proxy
	publisher, consumer  notingBus
	crm                  received
	stop                 context.CancelFunc
	running              sync.WaitGroup

	mu        sync.Mutex
	published map[string]int // by subject: the events 0 to n-1 were published without error
}

const subjects = 4

func startTraffic(t *testing.T, batch int) *traffic {
	t.Helper()
	return startTrafficIn(t, newWorld(t), batch)
}

func startTrafficIn(t *testing.T, w *world, batch int) *traffic {
	t.Helper()
	tr := &traffic{
		w: w, toPublish: faultproxy.Start(t, w.broker), toConsume: faultproxy.Start(t, w.broker),
		published: map[string]int{},
	}
	for _, side := range []struct {
		proxy *faultproxy.Proxy
		bus   *notingBus
	}{{tr.toPublish, &tr.publisher}, {tr.toConsume, &tr.consumer}} {
		cfg := w.config()
		cfg.URL = w.through(t, side.proxy.Address())
		// Short, so that a network that is silently dead is given up soon.
		cfg.ConfirmTimeout, cfg.Heartbeat = 500*time.Millisecond, time.Second
		cfg.WriteTimeout, cfg.DialTimeout = time.Second, time.Second
		*side.bus = closing(t, w.openWith(t, cfg)).(notingBus)
	}
	if _, err := tr.consumer.Subscribe(within(t), eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}, BatchSize: batch}, tr.crm.handle); err != nil {
		t.Fatal(err)
	}
	var working context.Context
	working, tr.stop = context.WithCancel(t.Context())
	t.Cleanup(tr.stop)
	for s := range subjects {
		tr.running.Go(func() { tr.publish(t, working, fmt.Sprint("o", s)) })
	}
	return tr
}

// publish publishes the events of one subject, one after the other, by one, by
// ten, by twenty and so on.
func (tr *traffic) publish(t *testing.T, working context.Context, subject string) {
	next := 0
	for round := 0; working.Err() == nil; round++ {
		var events []eventbus.Event
		for range max(1, round%8*10) {
			events = append(events, of(subject, next))
			next++
		}
		if err := tr.publisher.Publish(within(t), events...); err != nil {
			t.Errorf("publish for %s: %v", subject, err)
			return
		}
		tr.mu.Lock()
		tr.published[subject] = next
		tr.mu.Unlock()
	}
}

func of(subject string, n int) eventbus.Event {
	e := placed(n)
	e.ID, e.Subject = fmt.Sprintf("%s-%d", subject, n), subject
	return e
}

// more waits until so many more events were handled, for the first time.
func (tr *traffic) more(t *testing.T, count int) {
	t.Helper()
	before := tr.crm.count()
	eventually(t, fmt.Sprintf("%d more events", count), func() bool { return tr.crm.count() >= before+count })
}

// account stops publishing and compares: everything that was published arrives,
// the first time in the order of its subject, and nothing is left waiting. What
// was acknowledged last may come back later: an acknowledgement that a busy
// quorum queue has not taken yet is lost with its channel.
func (tr *traffic) account(t *testing.T) {
	t.Helper()
	tr.stop()
	tr.running.Wait()
	total := 0
	for _, count := range tr.published {
		total += count
	}
	eventually(t, "everything arrived", func() bool { return tr.crm.count() >= total })
	next := map[string]int{}
	for _, e := range tr.crm.firstEvents() {
		if want := of(e.Subject, next[e.Subject]).ID; e.ID != want {
			t.Fatalf("%s arrived where %s was due", e.ID, want)
		}
		next[e.Subject]++
	}
	eventually(t, "everything is acknowledged", func() bool { return tr.w.ready(t, "crm") == 0 && tr.consumer.Ready() == nil })
	if err := tr.consumer.Close(within(t)); err != nil {
		t.Errorf("close: %v", err)
	}
	sent, got := tr.publisher.Stats(), tr.consumer.Stats()
	t.Logf("%d events, %d deliveries, %d publishes in doubt, %d and %d reconnects",
		total, got.Delivered, sent.UnknownOutcomes, sent.Reconnects, got.Reconnects)
}

func TestFaultsOfTheNetworkLoseNothing(t *testing.T) {
	requireBroker(t)
	both := func(tr *traffic, do func(*faultproxy.Proxy)) { do(tr.toPublish); do(tr.toConsume) }
	noticed := func(t *testing.T, tr *traffic) {
		t.Helper()
		eventually(t, "both sides have noticed", func() bool { return tr.publisher.Ready() != nil && tr.consumer.Ready() != nil })
	}
	for name, fault := range map[string]struct {
		batch   int
		harmful bool // connections are lost
		strike  func(t *testing.T, tr *traffic)
	}{
		"Cut": {100, true, func(t *testing.T, tr *traffic) {
			for range 5 {
				tr.more(t, 200)
				both(tr, (*faultproxy.Proxy).Cut)
			}
		}},
		"BrokerOutOfReach": {100, true, func(t *testing.T, tr *traffic) {
			both(tr, (*faultproxy.Proxy).Down)
			noticed(t, tr)
			both(tr, (*faultproxy.Proxy).Up)
		}},
		"Slow": {100, false, func(t *testing.T, tr *traffic) {
			both(tr, func(p *faultproxy.Proxy) { p.Slow(15*time.Millisecond, 10*time.Millisecond) })
			tr.more(t, 300)
		}},
		"Narrow": {100, false, func(t *testing.T, tr *traffic) {
			both(tr, func(p *faultproxy.Proxy) {
				p.Narrow(faultproxy.ToServer, 300)
				p.Narrow(faultproxy.ToClient, 300)
			})
			tr.more(t, 300)
		}},
		"WhatIsSentIsLost": {100, true, func(t *testing.T, tr *traffic) {
			both(tr, func(p *faultproxy.Proxy) { p.Lose(faultproxy.ToServer) })
			noticed(t, tr)
		}},
		"WhatTheBrokerSaysIsLost": {100, true, func(t *testing.T, tr *traffic) {
			both(tr, func(p *faultproxy.Proxy) { p.Lose(faultproxy.ToClient) })
			noticed(t, tr)
		}},
		"ResetInTheMiddleOfAPublishWindow": {100, true, func(t *testing.T, tr *traffic) {
			for n := range int64(6) {
				before := tr.publisher.Stats().Reconnects
				tr.toPublish.CutAfter(faultproxy.ToServer, 20_000+n*1013) // somewhere in a message
				eventually(t, "the window was cut", func() bool { return tr.publisher.Ready() != nil || tr.publisher.Stats().Reconnects > before })
				tr.toPublish.Heal()
				tr.more(t, 100)
			}
		}},
		"ConfirmsCutOff": {100, true, func(t *testing.T, tr *traffic) {
			for n := range int64(6) {
				before := tr.publisher.Stats().Reconnects
				tr.toPublish.CutAfter(faultproxy.ToClient, 50+n*7)
				eventually(t, "the confirms were cut", func() bool { return tr.publisher.Ready() != nil || tr.publisher.Stats().Reconnects > before })
				tr.toPublish.Heal()
				tr.more(t, 100)
			}
		}},
		"ResetInTheMiddleOfAnAck": {3, true, func(t *testing.T, tr *traffic) {
			for n := range int64(3) {
				before := tr.consumer.Stats().Reconnects
				tr.toConsume.CutAfter(faultproxy.ToServer, 200+n*5) // an ack has 21 bytes
				eventually(t, "an ack was cut", func() bool { return tr.consumer.Ready() != nil || tr.consumer.Stats().Reconnects > before })
				tr.toConsume.Heal()
				tr.more(t, 100)
			}
		}},
		"Reset": {100, true, func(t *testing.T, tr *traffic) {
			both(tr, func(p *faultproxy.Proxy) { p.Reset(faultproxy.ToServer) })
			noticed(t, tr)
		}},
	} {
		t.Run(name, func(t *testing.T) {
			tr := startTraffic(t, fault.batch)
			tr.more(t, 100)
			fault.strike(t, tr)
			both(tr, (*faultproxy.Proxy).Heal)
			tr.more(t, 100)
			tr.account(t)
			if fault.harmful && tr.publisher.Stats().Reconnects+tr.consumer.Stats().Reconnects == 0 {
				t.Error("the test is wrong: no connection was lost")
			}
		})
	}
}

// What a handler holds when its connection is lost is not its own any more. The
// broker numbers deliveries by channel, so its late acknowledgement would hit
// another delivery of the next one.
func TestAnAckThatComesTooLateReachesNoOtherChannel(t *testing.T) {
	requireBroker(t)
	w := newWorld(t)
	bus := closing(t, w.open(t)).(notingBus)
	entered, release := make(chan int, 100), make(chan struct{})
	var handled received
	s, err := bus.Subscribe(within(t), eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}, BatchSize: 1},
		func(ctx context.Context, batch []eventbus.Delivery) error {
			entered <- int(batch[0].Event.Sequence)
			select {
			case <-release:
				return handled.handle(ctx, batch)
			case <-ctx.Done():
				return ctx.Err()
			}
		})
	if err != nil {
		t.Fatal(err)
	}
	publish(t, bus, placed(1), placed(2), placed(3))
	if n := <-entered; n != 1 {
		t.Fatalf("event %d came first", n)
	}
	w.proxy.Cut()
	eventually(t, "another connection", func() bool { return bus.Stats().Reconnects >= 2 && bus.Ready() == nil })
	release <- struct{}{} // and the late acknowledgement of the first event, tag 1
	if n := <-entered; n != 1 {
		t.Fatalf("event %d came next: event 1 was acknowledged on a channel that did not deliver it, or in its place another", n)
	}
	// The handler is busy with tag 1 of the new channel. Whatever was
	// acknowledged is gone when this consumer is.
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Close(over); !errors.Is(err, context.Canceled) {
		t.Fatalf("close: %v", err)
	}
	eventually(t, "all three are back", func() bool { return w.ready(t, "crm") == 3 })
}

func TestEveryConsumerRecoversWhenTheQueuesAreDeleted(t *testing.T) {
	requireBroker(t)
	w := newWorld(t)
	names := []string{"packing", "crm", "reporting"}
	var got [3]received
	var running []eventbus.Subscription
	first, second := closing(t, w.open(t)), closing(t, w.open(t))
	for i, name := range names {
		for _, bus := range []eventbus.Bus{first, second} { // one consumes, one stands by
			s, err := bus.Subscribe(within(t), queue(name), got[i].handle)
			if err != nil {
				t.Fatal(err)
			}
			running = append(running, s)
		}
	}
	everyone := func() bool {
		for _, s := range running {
			if s.Ready() != nil {
				return false
			}
		}
		return true
	}
	for round := range 2 {
		eventually(t, "all consume", everyone)
		before := first.(notingBus).Stats().Reconnects
		for _, name := range names {
			w.removeQueue(t, name)
		}
		for i := range names {
			// Bound again as before: what is published arrives. An event that
			// comes while a queue does not exist is not lost, it is unrouted.
			eventually(t, names[i]+" gets events again", func() bool {
				publish(t, first, placed(round))
				return got[i].count() > round
			})
		}
		if after := first.(notingBus).Stats().Reconnects; after != before {
			t.Errorf("%d connections were lost over a queue", after-before)
		}
	}
}
