package replay_test

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/rabbitmq"
	"orderflow/pkg/eventbus/rabbitmq/rabbitmqtest"
	"orderflow/pkg/replay"
	"orderflow/pkg/sqldb/sqldbtest"
)

// rabbit is a bus on RabbitMQ, in a namespace that is removed with the test.
func rabbit(t testing.TB) *rabbitmq.Bus {
	t.Helper()
	url := rabbitmqtest.URL(t)
	bus, err := rabbitmq.Open(t.Context(), rabbitmq.Config{URL: url, Namespace: rabbitmqtest.Namespace(t, url, "audit")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := bus.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return bus
}

// The same on a broker: a consumer that is added to a running system gets
// everything, exactly once in effect, and then what is new, in order, although
// the publisher dies in the middle and events flow meanwhile.
func TestAConsumerIsToldTheWholeHistoryOnRabbitMQ(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		bus := rabbit(t)
		w.bus.Bus = bus
		w.replays = w.another()
		c := &consumer{seen: map[string]bool{}}
		added, err := bus.Subscribe(t.Context(), eventbus.Queue{Name: "audit", Patterns: []string{"order.events.placed.v1"}}, c.handle)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := added.Unsubscribe(context.Background()); err != nil {
				t.Error(err)
			}
		})
		if _, err := w.replays.Begin(t.Context(), replay.Wish{To: "nobody"}); err == nil {
			t.Error("a replay to nobody has begun")
		}
		stop := w.run(w.replays)
		job := w.begin(replay.Wish{To: "audit", Rate: 2000})
		sqldbtest.Eventually(t, "it is in the middle", func() bool { return w.job(job.ID).Sent > 100 })
		stop()
		if now := w.job(job.ID); now.Status != replay.Running {
			t.Errorf("stopped as %+v", now)
		}
		w.run(replay.New(w.db, w.bus, w.past, slog.New(slog.DiscardHandler), w.options))
		var live []string
		for n := 1001; n <= 1100; n++ {
			if e := happened(n); e.Type == "order.events.placed.v1" {
				live = append(live, e.ID)
				if err := bus.Publish(t.Context(), e); err != nil {
					t.Fatal(err)
				}
			} else if err := bus.Publish(t.Context(), e); err != nil { // nobody's: it is kept as unrouted
				t.Fatal(err)
			}
		}
		w.becomes(job.ID, replay.Done)
		sqldbtest.Eventually(t, "everything has arrived", func() bool { return len(c.got()) >= 800+len(live) })
		var told, heard []string
		for _, id := range c.got() {
			if slices.Contains(live, id) {
				heard = append(heard, id)
			} else {
				told = append(told, id)
			}
		}
		var want []string
		for n := 1; n <= 1000; n++ {
			if e := happened(n); e.Type == "order.events.placed.v1" {
				want = append(want, e.ID)
			}
		}
		if !slices.Equal(told, want) || !slices.Equal(heard, live) {
			t.Errorf("told %d of %d, heard %d of %d, or not in order", len(told), len(want), len(heard), len(live))
		}
	})
}
