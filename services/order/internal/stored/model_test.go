package stored_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
	"orderflow/pkg/es/snapshot"
	"orderflow/pkg/esdbserver/esdbservertest"
	"orderflow/pkg/sqldb/sqldbtest"
	"orderflow/services/order/internal/domain"
	"orderflow/services/order/internal/stored"
)

type orders = es.Repository[domain.Order, domain.Event]

// machine is an order in the event store, and beside it what it should be: five
// facts, and the rules in one sentence each.
type machine struct {
	t      *testing.T
	server *esdbservertest.Server
	table  *snapshot.Table
	// plain knows no snapshots; orders takes one at every second event, or is plain.
	plain, orders *orders
	id            uuid.UUID
	clock         time.Time

	want     domain.Order
	revision es.Revision
	// last is the command before, to be sent again.
	last func(*rapid.T)
}

func (m *machine) connect() {
	m.t.Helper()
	client, err := es.Open(m.server.ConnectionString(), nil)
	if err != nil {
		m.t.Fatal(err)
	}
	m.t.Cleanup(client.Close)
	m.plain = es.NewRepository(client, "order", stored.Codec{}, domain.Apply)
	m.orders = m.plain
}

func (m *machine) useSnapshots() {
	m.orders = m.plain.WithSnapshots(es.Snapshots[domain.Order]{Store: m.table, Codec: stored.States{}, Every: 2})
}

// do sends a command. refused is the rule that must say no, changes whether
// anything must happen.
func (m *machine) do(t *rapid.T, refused error, changes bool, decide func(domain.Order, time.Time) ([]domain.Event, error)) {
	m.clock = m.clock.Add(time.Second)
	at, command := m.clock, cause.Cause{ID: cause.NewID()}
	state, revision, err := m.orders.Update(m.t.Context(), m.id, command, es.Precondition{}, func(o domain.Order) ([]domain.Event, error) {
		return decide(o, at)
	})
	if !errors.Is(err, refused) || refused == nil && err != nil {
		t.Fatalf("%v, want %v", err, refused)
	}
	if (revision > m.revision) != changes || revision < m.revision {
		t.Fatalf("from revision %d to %d, want a change: %t", m.revision, revision, changes)
	}
	m.revision = revision
	if err == nil {
		m.same(t, "what the command returns", state)
	}
	if !changes {
		return
	}
	m.last = func(t *rapid.T) { // it has been carried out, whatever it would decide now
		_, again, err := m.orders.Update(m.t.Context(), m.id, command, es.Precondition{}, func(domain.Order) ([]domain.Event, error) {
			return []domain.Event{domain.Dispatched{At: at}}, nil
		})
		if err != nil || again != m.revision {
			t.Fatalf("the same command again: revision %d, %v", again, err)
		}
	}
}

func (m *machine) same(t *rapid.T, what string, got domain.Order) {
	t.Helper()
	want := m.want
	switch {
	case !want.DispatchedAt.IsZero():
		want.Status = domain.StatusDispatched
	case !want.CancelledAt.IsZero():
		want.Status = domain.StatusCancelled
	case !want.PackedAt.IsZero():
		want.Status = domain.StatusPacked
	case !want.PlacedAt.IsZero():
		want.Status = domain.StatusPlaced
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Fatalf("%s (-should be +is): %s", what, diff)
	}
}

func (m *machine) placed() bool     { return !m.want.PlacedAt.IsZero() }
func (m *machine) packed() bool     { return !m.want.PackedAt.IsZero() }
func (m *machine) dispatched() bool { return !m.want.DispatchedAt.IsZero() }
func (m *machine) cancelled() bool  { return !m.want.CancelledAt.IsZero() }

// unplaced is the rule that refuses everything about an order that is not there.
func (m *machine) unplaced() error {
	if m.placed() {
		return nil
	}
	return domain.ErrNotPlaced
}

func (m *machine) place(t *rapid.T) {
	line := domain.Line{SKU: "mug", Name: "Mug", Quantity: rapid.Int64Range(1, 9).Draw(t, "quantity"), UnitPrice: domain.Money{Amount: 1250, Currency: "EUR"}}
	var refused error
	if m.placed() {
		refused = domain.ErrAlreadyPlaced
	} else {
		m.want.CustomerID, m.want.Lines, m.want.PlacedAt = customer, []domain.Line{line}, m.clock.Add(time.Second)
		m.want.Total = domain.Money{Amount: 1250 * line.Quantity, Currency: "EUR"}
	}
	m.do(t, refused, refused == nil, func(o domain.Order, at time.Time) ([]domain.Event, error) {
		return o.Place(customer, []domain.Line{line}, at)
	})
}

// A fact is recorded once, and never refused.
func (m *machine) pack(t *rapid.T) {
	changes := m.placed() && !m.packed()
	if changes {
		m.want.PackedAt = m.clock.Add(time.Second)
	}
	m.do(t, m.unplaced(), changes, domain.Order.Pack)
}

func (m *machine) dispatch(t *rapid.T) {
	changes := m.placed() && !m.dispatched()
	if changes {
		m.want.DispatchedAt = m.clock.Add(time.Second)
	}
	m.do(t, m.unplaced(), changes, domain.Order.Dispatch)
}

// A rejection cancels what is neither gone nor cancelled.
func (m *machine) reject(t *rapid.T) {
	changes := m.placed() && !m.dispatched() && !m.cancelled()
	if changes {
		m.want.CancelledAt, m.want.CancelReason = m.clock.Add(time.Second), "broken"
	}
	m.do(t, m.unplaced(), changes, func(o domain.Order, at time.Time) ([]domain.Event, error) { return o.Reject("broken", at) })
}

// A customer may cancel what has not left.
func (m *machine) cancel(t *rapid.T) {
	refused := m.unplaced()
	if m.dispatched() {
		refused = domain.ErrAlreadyDispatched
	}
	changes := refused == nil && !m.cancelled()
	if changes {
		m.want.CancelledAt, m.want.CancelReason = m.clock.Add(time.Second), "no more"
	}
	m.do(t, refused, changes, func(o domain.Order, at time.Time) ([]domain.Event, error) { return o.Cancel("no more", at) })
}

// A decision that rests on an old revision is not taken.
func (m *machine) stale(t *rapid.T) {
	_, _, err := m.orders.Update(m.t.Context(), m.id, cause.Cause{ID: cause.NewID()}, es.At(m.revision+1), func(domain.Order) ([]domain.Event, error) {
		t.Fatal("decided on another revision than the caller's")
		return nil, nil
	})
	if !errors.Is(err, es.ErrStale) {
		t.Fatalf("%v, want it stale", err)
	}
}

// Whatever is done to an order, in any sequence, with commands repeated and
// connections replaced, by programs with snapshots and without: every command is answered as the rules say, and the
// stream, replayed, gives the order that the commands returned.
func TestAnOrderInTheEventStoreIsWhatTheModelSays(t *testing.T) {
	server := esdbservertest.New(t)
	db := sqldbtest.SQLite(t)
	if err := snapshot.Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	used := 0
	rapid.Check(t, func(rt *rapid.T) {
		m := &machine{
			t: t, server: server, table: snapshot.New(db), id: cause.NewID(), revision: es.NoStream,
			clock: time.Date(2026, 3, 14, 15, 9, 26, 535897932, time.UTC), last: func(*rapid.T) {},
		}
		m.connect()
		rt.Repeat(map[string]func(*rapid.T){
			"place": m.place, "pack": m.pack, "dispatch": m.dispatch, "reject": m.reject, "cancel": m.cancel, "stale": m.stale,
			"again":     func(t *rapid.T) { m.last(t) },
			"reconnect": func(*rapid.T) { m.connect() },
			"snapshots": func(*rapid.T) { m.useSnapshots() },
			"": func(t *rapid.T) {
				got, revision, err := m.orders.Load(m.t.Context(), m.id)
				if errors.Is(err, es.ErrNotFound) && !m.placed() {
					return
				}
				if err != nil || revision != m.revision {
					t.Fatalf("at revision %d, want %d: %v", revision, m.revision, err)
				}
				m.same(t, "what the stream says", got)
				replayed, _, err := m.plain.Load(m.t.Context(), m.id)
				if err != nil {
					t.Fatal(err)
				}
				m.same(t, "what the stream says, replayed", replayed)
			},
		})
		if _, err := m.table.Load(t.Context(), es.StreamName("order", m.id)); err == nil {
			used++
		}
	})
	if used == 0 {
		t.Error("no order has had a snapshot")
	}
}
