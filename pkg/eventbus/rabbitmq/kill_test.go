//go:build unix

package rabbitmq_test

import (
	"os"
	"sync"
	"testing"
	"time"

	"orderflow/pkg/eventbus/rabbitmq"
)

func TestNothingIsLostWhenTheBrokerIsKilled(t *testing.T) {
	if os.Getenv("TEST_LONG") != "1" {
		t.Skip("kills a broker again and again: set TEST_LONG=1")
	}
	b := startBroker(t)
	bus, err := rabbitmq.Open(t.Context(), rabbitmq.Config{URL: b.url()})
	if err != nil {
		t.Fatal(err)
	}
	closing(t, bus)
	eventually(t, "the broker is up", func() bool { return bus.Ready() == nil })
	var crm received
	subscribe(t, bus, crm.handle, "order.#")
	// A quorum queue of RabbitMQ 3.10 does not survive kill -9 in the first
	// seconds after it was declared. Stopping properly makes it safe, and is
	// something else to survive.
	b.stop(t)
	b.start(t)

	const rounds, publishers, each = 2, 4, 2000
	for round := range rounds {
		var running sync.WaitGroup
		for p := range publishers {
			running.Go(func() {
				for n := 0; n < each; n += 10 {
					first := (round*publishers+p)*each + n
					for events := first; events < first+10; events += 5 {
						if err := bus.Publish(within(t), placed(events), placed(events+1), placed(events+2), placed(events+3), placed(events+4)); err != nil {
							t.Errorf("publish: %v", err)
							return
						}
					}
				}
			})
		}
		crm.await(t, round*publishers*each+each/2) // in the middle of it
		b.kill(t)
		began := time.Now()
		b.start(t)
		running.Wait()
		t.Logf("round %d: everything published %s after the kill", round, time.Since(began).Round(time.Millisecond))
		eventually(t, "everything arrived", func() bool { return len(crm.firsts()) == (round+1)*publishers*each })
	}
	stats := bus.Stats()
	t.Logf("%d events, %d deliveries, %d publishes in doubt, %d reconnects",
		rounds*publishers*each, stats.Delivered, stats.UnknownOutcomes, stats.Reconnects)
	if stats.Reconnects == 0 {
		t.Error("the test is wrong: the broker was never gone")
	}
}
