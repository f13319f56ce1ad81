package inbox_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

func inLanes(n int) inbox.Options {
	options := quick
	options.Lanes = n
	return options
}

func TestLanesRunSideBySide(t *testing.T) {
	w := newWorld(t, sqldbtest.Postgres(t), inLanes(2))
	meet, met := make(chan struct{}), make(chan struct{})
	inbox.On(w.in, counted, func(ctx context.Context, _ sqldb.Tx, _ eventbus.Event, _ payload) error {
		select {
		case <-met:
		case meet <- struct{}{}: // the other lane is here as well
			close(met)
		case <-meet:
		case <-ctx.Done():
			return ctx.Err()
		}
		return nil
	})
	var events []eventbus.Event
	for i := range 64 { // not all of them fall into one lane
		events = append(events, event(counted, fmt.Sprint("s", i), fmt.Sprint("e", i)))
	}
	w.handle(t, events...)
	if got, want := w.in.Stats(), (inbox.Stats{Handled: 64}); got != want {
		t.Errorf("counted %+v, want %+v", got, want)
	}
}

func TestLanesKeepTheOrderOfEachSubject(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db, inLanes(4))
		var events []eventbus.Event
		want := map[string][]string{}
		for i := range 200 {
			subject := fmt.Sprint("s", i*i%11)
			e := event([]string{placed, packed, moved}[i/40%3], subject, fmt.Sprintf("%s-%03d", subject, i))
			events = append(events, e)
			want[subject] = append(want[subject], e.ID)
		}
		w.when(events[17].ID, times(1, errHandler))
		w.when(events[90].ID, times(2, errHandler))
		w.run(t)
		w.handle(t, events...)
		w.waitNoneHeld(t, 0)
		w.handle(t, events...)
		for subject, ids := range want {
			if diff := cmp.Diff(ids, w.effects(t, subject)); diff != "" {
				t.Errorf("effects of %s: %s", subject, diff)
			}
		}
	})
}

// TestLanesThatDeadlockOverSharedRowsLoseNothing has handlers that update the
// same two rows crosswise.
func TestLanesThatDeadlockOverSharedRowsLoseNothing(t *testing.T) {
	db := sqldbtest.Postgres(t)
	w := newWorld(t, db, inLanes(2))
	sqldbtest.Exec(t, db, `CREATE TABLE total (name TEXT PRIMARY KEY, n BIGINT NOT NULL)`)
	sqldbtest.Exec(t, db, `INSERT INTO total VALUES ('x', 0), ('y', 0)`)
	meet := make(chan struct{})
	inbox.On(w.in, counted, func(ctx context.Context, tx sqldb.Tx, e eventbus.Event, _ payload) error {
		names := []string{"x", "y"}
		if e.Sequence%2 == 1 {
			names = []string{"y", "x"}
		}
		if _, err := tx.Exec(ctx, `UPDATE total SET n = n + 1 WHERE name = $1`, names[0]); err != nil {
			return err
		}
		if w.called(e.ID) == 0 { // both hold one row and want the other, at the first try
			select {
			case meet <- struct{}{}:
			case <-meet:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		_ = w.fail(e) // counts
		_, err := tx.Exec(ctx, `UPDATE total SET n = n + 1 WHERE name = $1`, names[1])
		return err
	})
	a, b := event(counted, "a", "a"), event(counted, "b", "b")
	for n := 0; w.in.Lane(b.Subject) == w.in.Lane(a.Subject); n++ {
		b.Subject = fmt.Sprint("b", n)
	}
	a.Sequence, b.Sequence = 0, 1
	w.handle(t, a, b)
	for _, name := range []string{"x", "y"} {
		if n := sqldbtest.Count(t, db, `SELECT n FROM total WHERE name = $1`, name); n != 2 {
			t.Errorf("%s is %d, want 2", name, n)
		}
	}
}

// TestEveryLaneHasASecondConnection has handlers that ask the database outside
// their transaction while every other lane does the same.
func TestEveryLaneHasASecondConnection(t *testing.T) {
	for pool, want := range map[int]int{1: 1, 2: 1, 4: 2, 5: 2, 40: 8} {
		t.Run(fmt.Sprint("pool_max_conns=", pool), func(t *testing.T) {
			db := tuned(t, map[string]string{"answer_within": "3s", "pool_max_conns": fmt.Sprint(pool)})
			options := inLanes(8)
			options.Timeout = 5 * time.Second
			w := newWorld(t, db, options)
			if got := w.in.Lanes(); got != want {
				t.Errorf("%d lanes, want %d", got, want)
			}
			if pool == 1 {
				return // there is no second connection
			}
			var inside atomic.Int64
			entered := make([]sync.Once, w.in.Lanes())
			all := make(chan struct{}) // of the lanes have a connection
			inbox.On(w.in, counted, func(ctx context.Context, tx sqldb.Tx, e eventbus.Event, _ payload) error {
				if err := w.effect(ctx, tx, e); err != nil {
					return err
				}
				entered[w.in.Lane(e.Subject)].Do(func() {
					if inside.Add(1) == int64(w.in.Lanes()) {
						close(all)
					}
				})
				select {
				case <-all:
				case <-ctx.Done():
				}
				return db.QueryRow(ctx, `SELECT count(*) FROM effect`).Scan(new(int))
			})
			events := scattered(counted, 300) // all lanes have some
			w.handle(t, events...)
			if got, want := w.in.Stats(), (inbox.Stats{Handled: 300}); got != want {
				t.Errorf("counted %+v, want %+v", got, want)
			}
		})
	}
}

func TestTheLogSaysThatThereAreFewerLanes(t *testing.T) {
	var log bytes.Buffer
	in := func(db sqldb.DB, lanes int) string {
		log.Reset()
		inbox.New(db, "packing", slog.New(slog.NewTextHandler(&log, nil)), inbox.Options{Lanes: lanes})
		return log.String()
	}
	postgres := &sqldbtest.Cuttable{DB: sqldbtest.Postgres(t)} // a wrapper hides no pool
	if text := in(postgres, 5); !strings.Contains(text, "lanes=4") || !strings.Contains(text, "pool_max_conns") {
		t.Errorf("it says %q", text)
	}
	for name, text := range map[string]string{"as many as there may be": in(postgres, 4), "on SQLite": in(sqldbtest.SQLite(t), 2)} {
		if text != "" {
			t.Errorf("%s: it says %q", name, text)
		}
	}
}

// TestHeldEventsLeaveConnectionsToTheirHandlers tries more of them than there are
// connections, while each handler asks the database outside its transaction.
func TestHeldEventsLeaveConnectionsToTheirHandlers(t *testing.T) {
	db := tuned(t, map[string]string{"answer_within": "3s", "pool_max_conns": "4"})
	w := newWorld(t, db, quick)
	w.in.OnAny("stock.events.#", func(ctx context.Context, tx sqldb.Tx, e eventbus.Event) error { return w.effect(ctx, tx, e) })
	events := scattered(counted, 40)
	for _, e := range events {
		w.when(e.ID, always(errHandler))
	}
	w.handle(t, events...)
	var mu sync.Mutex
	inside, most := 0, 0
	several := make(chan struct{})
	met := sync.OnceFunc(func() { close(several) })
	enter := func() {
		mu.Lock()
		defer mu.Unlock()
		inside++
		if most = max(most, inside); most == 2 {
			met()
		}
	}
	leave := func() {
		mu.Lock()
		defer mu.Unlock()
		inside--
	}
	for _, e := range events {
		w.when(e.ID, func() error {
			enter()
			defer leave()
			<-several
			return db.QueryRow(t.Context(), `SELECT count(*) FROM effect`).Scan(new(int))
		})
	}
	w.run(t)
	w.waitNoneHeld(t, 0)
	mu.Lock()
	defer mu.Unlock()
	if most != 2 {
		t.Errorf("%d transactions at a time, want 2 on 4 connections", most)
	}
}
