package figures

import (
	"context"
	"log/slog"
	"path/filepath"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/rabbitmq"
	"orderflow/pkg/eventbus/rabbitmq/rabbitmqtest"
	"orderflow/pkg/eventbus/sqlitebus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/sqldb/sqldbtest"
)

// TestMovingFromV1ToV2CountsEveryOrderOnce moves reporting from one version of
// an event to the next in the steps of docs/versions.md, each while orders are
// being placed, with messages waiting in its queue and an order service that is
// upgraded later than reporting.
func TestMovingFromV1ToV2CountsEveryOrderOnce(t *testing.T) {
	for name, open := range map[string]func(*testing.T) eventbus.Bus{"sqlite": openSQLite, "rabbitmq": openRabbitMQ} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, sqldbtest.SQLite(t))
			m := &move1to2{world: w, t: t, bus: open(t)}
			log := slog.New(slog.DiscardHandler)
			before := inbox.New(w.db, "reporting", log, inbox.Options{})
			on(before, w.store, orderPlacedV1, wasPlacedV1)
			after := inbox.New(w.db, "reporting", log, inbox.Options{})
			on(after, w.store, orderPlaced, wasPlaced)

			stop := m.read(before)
			m.place(20, placedV1At)
			stop()
			m.place(20, placedV1At) // wait in the queue

			m.whilePlacing(func() { stop = m.read(w.in) }, placedV1At)
			m.place(20, placedV1At)
			m.place(20, placedV1At, placedAt) // the order service is upgraded
			stop()

			m.whilePlacing(func() { stop = m.read(after) }, placedV1At, placedAt)
			m.place(20, placedV1At, placedAt)
			sqldbtest.Eventually(t, "all that waits is handled", func() bool {
				return m.depth("reporting") == 0 && m.counted() >= int64(m.placed)
			})
			stop()
			got := w.summary(t)
			if diff := cmp.Diff(ByStatus{Placed: int64(m.placed)}, got.OrdersByStatus); diff != "" {
				t.Error(diff)
			}
			if diff := cmp.Diff([]Money{{int64(m.placed), "EUR"}}, got.Revenue); diff != "" {
				t.Error(diff)
			}

			// Nothing is left at the broker of what was read once.
			kept := m.depth(eventbus.Unrouted)
			m.place(1, placedV1At)
			sqldbtest.Eventually(t, "v1 is kept for whoever wants it", func() bool { return m.depth(eventbus.Unrouted) == kept+1 })
			if waiting := m.depth("reporting"); waiting != 0 {
				t.Errorf("%d waiting: v1 is still bound", waiting)
			}
		})
	}
}

// move1to2 is reporting on a bus. Every order is worth one cent.
type move1to2 struct {
	*world
	t      *testing.T
	bus    eventbus.Bus
	placed int // orders
}

func (m *move1to2) read(in *inbox.Inbox) (stop func()) {
	subscription, err := m.bus.Subscribe(m.t.Context(), eventbus.Queue{Name: "reporting", Patterns: in.Patterns()}, in.Handle)
	if err != nil {
		m.t.Fatal(err)
	}
	return func() {
		if err := subscription.Close(m.t.Context()); err != nil {
			m.t.Error(err)
		}
	}
}

// place publishes n orders, in each of the versions, in their order.
func (m *move1to2) place(n int, versions ...func(int, time.Time, int64, string) eventbus.Event) {
	for range n {
		m.placed++
		for _, version := range versions {
			if err := m.bus.Publish(m.t.Context(), version(m.placed, noon, 1, "EUR")); err != nil {
				m.t.Error(err)
			}
		}
	}
}

// whilePlacing changes something while orders are being placed, before and after
// it as well.
func (m *move1to2) whilePlacing(change func(), versions ...func(int, time.Time, int64, string) eventbus.Event) {
	changed, under, done := make(chan struct{}), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		m.place(5, versions...)
		close(under)
		for changing := true; changing; {
			m.place(1, versions...)
			select {
			case <-changed:
				changing = false
			default:
			}
		}
		m.place(5, versions...)
	}()
	<-under
	change()
	close(changed)
	<-done
}

func (m *move1to2) depth(queue string) int {
	depth, err := m.bus.Depth(m.t.Context(), queue)
	if err != nil {
		m.t.Error(err)
	}
	return depth
}

func (m *move1to2) counted() int64 { return m.summary(m.t).OrdersByStatus.Placed }

func openSQLite(t *testing.T) eventbus.Bus {
	bus, err := sqlitebus.Open(t.Context(), sqlitebus.Config{Path: filepath.Join(t.TempDir(), "bus.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeBus(t, bus) })
	return bus
}

func closeBus(t *testing.T, bus eventbus.Bus) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if err := bus.Close(ctx); err != nil {
		t.Error(err)
	}
}

// openRabbitMQ uses a namespace that is removed with the test.
func openRabbitMQ(t *testing.T) eventbus.Bus {
	url := rabbitmqtest.URL(t)
	bus, err := rabbitmq.Open(t.Context(), rabbitmq.Config{URL: url, Namespace: rabbitmqtest.Namespace(t, url, "reporting")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { closeBus(t, bus) })
	return bus
}
