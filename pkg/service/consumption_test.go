package service_test

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/service"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

// queue is what waits at the bus.
type queue struct {
	depth atomic.Int64
	gone  atomic.Bool
	looks atomic.Int64
}

func (q *queue) look(context.Context) (int, error) {
	q.looks.Add(1)
	if q.gone.Load() {
		return 0, errors.New("no broker")
	}
	return int(q.depth.Load()), nil
}

// consumer is an inbox whose events of subject "bad" fail.
func consumer(t *testing.T) *inbox.Inbox {
	t.Helper()
	db := sqldbtest.SQLite(t)
	if err := inbox.Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	in := inbox.New(db, "test", slog.New(slog.DiscardHandler), inbox.Options{})
	inbox.On(in, "order.events.placed.v1", func(_ context.Context, _ sqldb.Tx, e eventbus.Event, _ struct{}) error {
		if e.Subject == "bad" {
			return errors.New("not now")
		}
		return nil
	})
	return in
}

func handle(t *testing.T, in *inbox.Inbox, subject string, at time.Time) {
	t.Helper()
	err := in.Handle(t.Context(), []eventbus.Delivery{{Event: eventbus.Event{
		ID: subject + at.String(), Source: "/orderflow/order", Type: "order.events.placed.v1", Subject: subject, Time: at, Data: []byte(`{}`),
	}}})
	if err != nil {
		t.Fatal(err)
	}
}

func TestHowFarItIsBehindCostsOneLookASecondHoweverManyRead(t *testing.T) {
	var q queue
	shown := service.NewConsumption(consumer(t), q.look)
	began := time.Now()
	var readers sync.WaitGroup
	for range 20 {
		readers.Go(func() {
			for range 200 {
				shown.Complete(t.Context())
			}
		})
	}
	readers.Wait()
	if looks, most := q.looks.Load(), int64(time.Since(began)/time.Second)+1; looks < 1 || looks > most {
		t.Errorf("%d looks for 4000 reads, at most %d were due", looks, most)
	}
}

func TestWhatIsCompleteFollowsFromTheQueueAndTheInbox(t *testing.T) {
	var q queue
	q.gone.Store(true)
	in := consumer(t)
	shown := service.NewConsumption(in, q.look)
	if complete := shown.Complete(t.Context()); !complete.IsZero() {
		t.Errorf("nothing can be told, and yet it is complete up to %s", complete)
	}
	long := time.Now().Add(-time.Hour).UTC().Truncate(time.Microsecond)
	handle(t, in, "good", long)
	handle(t, in, "good", long.Add(-time.Minute)) // late
	q.gone.Store(false)
	q.depth.Store(3)
	sqldbtest.Eventually(t, "it is looked again", func() bool { return shown.Complete(t.Context()).Equal(long) && q.looks.Load() > 1 })
	q.depth.Store(0)
	emptied := time.Now()
	sqldbtest.Eventually(t, "it has caught up", func() bool { return shown.Complete(t.Context()).After(emptied) })
	// A broker that does not answer leaves what was known, which grows older.
	q.gone.Store(true)
	looks := q.looks.Load()
	looksMore := func(n int64) func() bool {
		return func() bool { shown.Complete(t.Context()); return q.looks.Load() >= looks+n }
	}
	sqldbtest.Eventually(t, "it is looked without a broker", looksMore(1))
	known := shown.Complete(t.Context())
	sqldbtest.Eventually(t, "it is looked twice more", looksMore(3))
	if now := shown.Complete(t.Context()); !now.Equal(known) {
		t.Errorf("from %s to %s without a broker", known, now)
	}
	// So does what is held, however empty the queue.
	q.gone.Store(false)
	held := time.Now()
	handle(t, in, "bad", held)
	sqldbtest.Eventually(t, "it is looked with the broker", looksMore(5))
	known = shown.Complete(t.Context())
	sqldbtest.Eventually(t, "it is looked again with the broker", looksMore(7))
	if now := shown.Complete(t.Context()); !now.Equal(known) || now.Before(held.Add(-time.Second)) {
		t.Errorf("from %s to %s with something held since %s", known, now, held)
	}
}
