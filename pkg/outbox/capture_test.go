package outbox_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/cause"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/outbox"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

// slots counts the replication slots of the outbox in the current schema.
func slots(t testing.TB, db sqldb.DB) int {
	t.Helper()
	return sqldbtest.Count(t, db, `SELECT count(*) FROM pg_replication_slots WHERE database = current_database()
		AND strpos(slot_name, lower(current_schema())) > 0`)
}

// confirmed tells whether the slot has been confirmed up to a position.
func confirmed(t testing.TB, db sqldb.DB, position string) bool {
	t.Helper()
	return sqldbtest.Count(t, db, `SELECT count(*) FROM pg_replication_slots WHERE database = current_database()
		AND strpos(slot_name, lower(current_schema())) > 0 AND confirmed_flush_lsn >= CAST($1::text AS pg_lsn)`, position) == 1
}

func position(t testing.TB, db sqldb.DB) (now string) {
	t.Helper()
	if err := db.QueryRow(t.Context(), `SELECT CAST(pg_current_wal_insert_lsn() AS text)`).Scan(&now); err != nil {
		t.Fatal(err)
	}
	return now
}

func TestSwitchingBetweenTheReadersLosesAndRepeatsNothing(t *testing.T) {
	w := newPostgres(t, outbox.Capture)
	bus := &fakeBus{}
	polling := w.quick
	polling.Reader = outbox.Polling
	var want []string
	for round := range 6 {
		options := w.quick
		if round%2 == 1 {
			options = polling
		}
		o := newOutbox(t, w.db, bus, options)
		addOne := func(what string) {
			id := fmt.Sprint(round, " ", what)
			want = append(want, id)
			add(t, w.db, o, event(id, "a"))
		}
		addOne("before anything runs")
		stop := start(t, o)
		addOne("while it starts")
		if options.Reader == outbox.Capture {
			eventually(t, "the server streams", func() bool { return o.Stats().Streaming })
		}
		addOne("while it runs")
		waitSent(t, o)
		addOne("while it ends")
		stop()
	}
	o := newOutbox(t, w.db, bus, polling)
	start(t, o)
	waitSent(t, o)
	if diff := cmp.Diff(want, bus.ids()); diff != "" {
		t.Error(diff)
	}
}

// firsts leaves the first of each.
func firsts(ids []string) []string {
	var list []string
	seen := map[string]bool{}
	for _, id := range ids {
		if !seen[id] {
			list = append(list, id)
		}
		seen[id] = true
	}
	return list
}

func TestATransactionThatBeganBeforeTheSlotIsPublished(t *testing.T) {
	w := newPostgres(t, outbox.Capture)
	bus := &fakeBus{}
	o := newOutbox(t, w.db, bus, w.quick)
	began, finish, finished := make(chan struct{}), make(chan struct{}), make(chan error)
	go func() {
		finished <- w.db.Update(t.Context(), func(tx sqldb.Tx) error {
			if err := o.Add(t.Context(), tx, cause.Cause{}, event("early", "a")); err != nil {
				return err
			}
			close(began)
			<-finish
			return o.Add(t.Context(), tx, cause.Cause{}, event("late", "a"))
		})
	}()
	<-began
	start(t, o)
	eventually(t, "the slot was being made", func() bool { return slots(t, w.db) == 1 })
	add(t, w.db, o, event("other", "b"))
	waitSent(t, o) // it is polled while the slot waits
	if o.Stats().Streaming {
		t.Fatal("the test is wrong: the slot did not wait")
	}
	close(finish)
	if err := <-finished; err != nil {
		t.Fatal(err)
	}
	eventually(t, "the server streams", func() bool { return o.Stats().Streaming })
	add(t, w.db, o, event("after", "a"))
	waitSent(t, o)
	if diff := cmp.Diff([]string{"other", "early", "late", "after"}, bus.ids()); diff != "" {
		t.Error(diff)
	}
}

func TestCommitsArePublishedInTheirOrderWhateverTheirNumbers(t *testing.T) {
	w := newPostgres(t, outbox.Capture)
	bus := &fakeBus{}
	o := newOutbox(t, w.db, bus, w.quick)
	w.start(t, o)
	// Five transactions draw their numbers in one order and commit in the other.
	// Nothing is read in between.
	open := make(chan struct{})
	bus.set(func(context.Context, []eventbus.Event) error { <-open; return nil })
	add(t, w.db, o, event("first", "x"))
	var want []string
	finish, finished := make([]chan struct{}, 5), make(chan error)
	for i := range finish {
		began := make(chan struct{})
		finish[i] = make(chan struct{})
		go func() {
			finished <- w.db.Update(t.Context(), func(tx sqldb.Tx) error {
				if err := o.Add(t.Context(), tx, cause.Cause{}, event(fmt.Sprint("tx", i), fmt.Sprint("order-", i))); err != nil {
					return err
				}
				close(began)
				<-finish[i]
				return nil
			})
		}()
		<-began
	}
	for i := range slices.Backward(finish) {
		close(finish[i])
		if err := <-finished; err != nil {
			t.Fatal(err)
		}
		want = append(want, fmt.Sprint("tx", i))
	}
	close(open)
	waitSent(t, o)
	if diff := cmp.Diff(append([]string{"first"}, want...), bus.ids()); diff != "" {
		t.Error(diff)
	}
}

func TestALargeTransactionIsPublishedInWindows(t *testing.T) {
	eachPostgres(t, func(t *testing.T, w *world) {
		bus := &fakeBus{}
		most := 0
		bus.set(func(_ context.Context, events []eventbus.Event) error {
			most = max(most, len(events)) // calls follow one another
			return nil
		})
		options := w.quick
		options.Window = 300
		o := newOutbox(t, w.db, bus, options)
		w.start(t, o)
		want := make([]string, 10_000)
		events := make([]eventbus.Event, len(want))
		for i := range want {
			want[i] = fmt.Sprint("e", i)
			events[i] = event(want[i], fmt.Sprint("order-", i%7))
		}
		add(t, w.db, o, events...)
		waitSent(t, o)
		if diff := cmp.Diff(want, bus.ids()); diff != "" {
			t.Error(diff)
		}
		if most > options.Window {
			t.Errorf("published %d at once, the window is %d", most, options.Window)
		}
	})
}

func TestThePositionIsConfirmedOnlyAfterTheBus(t *testing.T) {
	w := newPostgres(t, outbox.Capture)
	bus := &fakeBus{}
	o := newOutbox(t, w.db, bus, w.quick)
	stop := w.start(t, o)
	asked := make(chan struct{}, 1)
	bus.set(func(ctx context.Context, _ []eventbus.Event) error {
		asked <- struct{}{}
		<-ctx.Done() // it never says that it has them
		return ctx.Err()
	})
	add(t, w.db, o, event("one", "a"))
	<-asked
	committed := position(t, w.db)
	stop() // which tells the server what was confirmed
	if confirmed(t, w.db, committed) {
		t.Error("the position was confirmed, and the bus has nothing")
	}
	bus.set(nil)
	stop = w.start(t, o)
	waitSent(t, o)
	eventually(t, "it was confirmed", func() bool { return confirmed(t, w.db, committed) })
	stop()
	if diff := cmp.Diff([]string{"one"}, bus.ids()); diff != "" {
		t.Error(diff)
	}
}

func TestWorkThatIsNotTheOutboxsIsConfirmedToo(t *testing.T) {
	w := newPostgres(t, outbox.Capture)
	o := newOutbox(t, w.db, &fakeBus{}, w.quick)
	w.start(t, o)
	sqldbtest.Exec(t, w.db, `CREATE TABLE busy (text TEXT)`)
	sqldbtest.Exec(t, w.db, `INSERT INTO busy SELECT repeat('x', 1000) FROM generate_series(1, 1000)`)
	written := position(t, w.db)
	// Otherwise a quiet outbox would keep the log of a busy server for ever.
	eventually(t, "the log was let go", func() bool { return confirmed(t, w.db, written) })
}

func TestASlotThatVanishesIsMadeAgainAndNothingIsMissing(t *testing.T) {
	w := newPostgres(t, outbox.Capture)
	bus := &fakeBus{}
	o := newOutbox(t, w.db, bus, w.quick)
	w.start(t, o)
	add(t, w.db, o, event("one", "a"))
	waitSent(t, o)
	bus.set(down)
	add(t, w.db, o, event("two", "a"))
	eventually(t, "the bus was tried", func() bool { return o.Stats().Failures > 0 })
	if err := o.DropSlot(t.Context()); err != nil {
		t.Fatal(err)
	}
	add(t, w.db, o, event("three", "a"))
	bus.set(nil)
	waitSent(t, o)
	eventually(t, "the server streams again", func() bool { return o.Stats().Streaming })
	add(t, w.db, o, event("four", "a"))
	waitSent(t, o)
	if diff := cmp.Diff([]string{"one", "two", "three", "four"}, bus.ids()); diff != "" {
		t.Error(diff)
	}
}

func TestAPublicationMadeAnewIsNoDeadEnd(t *testing.T) {
	w := newPostgres(t, outbox.Capture)
	bus := &fakeBus{}
	o := newOutbox(t, w.db, bus, w.quick)
	w.start(t, o)
	var name string
	if err := w.db.QueryRow(t.Context(), `SELECT pubname FROM pg_publication_tables WHERE schemaname = current_schema()`).Scan(&name); err != nil {
		t.Fatal(err)
	}
	sqldbtest.Exec(t, w.db, `DROP PUBLICATION `+name)
	add(t, w.db, o, event("one", "a"))
	waitSent(t, o)
	eventually(t, "the publication was made again", func() bool {
		return sqldbtest.Count(t, w.db, `SELECT count(*) FROM pg_publication_tables WHERE schemaname = current_schema()`) == 1
	})
	eventually(t, "the server streams again", func() bool { return o.Stats().Streaming })
	add(t, w.db, o, event("two", "a"))
	waitSent(t, o)
	if diff := cmp.Diff([]string{"one", "two"}, bus.ids()); diff != "" {
		t.Error(diff)
	}
}

func TestWhatTheStreamDoesNotBringComesBeforeWhatItBrings(t *testing.T) {
	w := newPostgres(t, outbox.Capture)
	bus := &fakeBus{}
	o := newOutbox(t, w.db, bus, w.quick)
	bus.set(refuse(eventbus.ErrUnroutable, "one"))
	stop := w.start(t, o)
	add(t, w.db, o, event("one", "a"), event("marker", "b"))
	waitSent(t, o)
	stop()
	bus.set(nil)
	if err := o.Redrive(t.Context(), "one"); err != nil { // which inserts nothing
		t.Fatal(err)
	}
	add(t, w.db, o, event("two", "a"))
	w.start(t, o)
	waitSent(t, o)
	if diff := cmp.Diff([]string{"marker", "one", "two"}, bus.ids()); diff != "" {
		t.Error(diff)
	}
}

func TestASlotThatNobodyReadsIsDroppedByThePollingPublisher(t *testing.T) {
	w := newPostgres(t, outbox.Capture)
	bus := &fakeBus{}
	o := newOutbox(t, w.db, bus, w.quick)
	stop := w.start(t, o)
	stop()
	if slots(t, w.db) != 1 {
		t.Fatal("a slot does not survive a restart")
	}
	polling := w.quick
	polling.Reader, polling.SlotEvery = outbox.Polling, 10*time.Millisecond
	polling.SlotGrace = -1
	kept := newOutbox(t, w.db, bus, polling)
	stop = start(t, kept)
	eventually(t, "the slot was seen", func() bool { return kept.Stats().SlotKept > 0 })
	stop()
	if slots(t, w.db) != 1 {
		t.Fatal("the slot was dropped though that was forbidden")
	}
	polling.SlotGrace = 20 * time.Millisecond
	o = newOutbox(t, w.db, bus, polling)
	start(t, o)
	eventually(t, "the slot was dropped", func() bool { return slots(t, w.db) == 0 })
	eventually(t, "the publication was dropped", func() bool {
		return sqldbtest.Count(t, w.db, `SELECT count(*) FROM pg_publication_tables WHERE schemaname = current_schema()`) == 0
	})
	add(t, w.db, o, event("one", "a"))
	waitSent(t, o)
}

func TestLogThatIsKeptIsShownAndHasALimit(t *testing.T) {
	w := newPostgres(t, outbox.Capture)
	bus := &fakeBus{}
	options := w.quick
	options.SlotEvery, options.SlotWarn, options.SlotMax = 10*time.Millisecond, 1<<20, -1
	o := newOutbox(t, w.db, bus, options)
	stop := w.start(t, o)
	release := make(chan struct{})
	hold := func(ctx context.Context, _ []eventbus.Event) error {
		select {
		case <-release:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	bus.set(hold)
	add(t, w.db, o, event("one", "a"))
	sqldbtest.Exec(t, w.db, `CREATE TABLE busy (text TEXT)`)
	write := func() {
		sqldbtest.Exec(t, w.db, `INSERT INTO busy SELECT repeat('x', 1000) FROM generate_series(1, 4000)`)
	}
	write()
	eventually(t, "it was shown", func() bool { return o.Stats().SlotKept > 1<<20 })
	eventually(t, "it says that it is not ready", func() bool {
		err := o.Ready()
		return err != nil && strings.Contains(err.Error(), "MiB of log")
	})
	stop()

	options.SlotMax = 2 << 20
	bus.set(nil)
	o = newOutbox(t, w.db, bus, options)
	w.start(t, o)
	waitSent(t, o)
	bus.set(hold)
	add(t, w.db, o, event("two", "a"))
	write()
	eventually(t, "the slot was dropped", func() bool { return slots(t, w.db) == 0 })
	close(release)
	waitSent(t, o)
	add(t, w.db, o, event("three", "a"))
	waitSent(t, o)
	if diff := cmp.Diff([]string{"one", "two", "three"}, bus.ids()); diff != "" {
		t.Error(diff)
	}
}

func TestAServerThatWouldKeepItsLogForEverIsWarnedOfOnce(t *testing.T) {
	w := newPostgres(t, outbox.Capture)
	if sqldbtest.Count(t, w.db, `SELECT count(*) FROM pg_settings WHERE name = 'max_slot_wal_keep_size' AND setting = '-1'`) == 0 {
		t.Skip("this server has a limit")
	}
	if err := outbox.Migrate(t.Context(), w.db); err != nil {
		t.Fatal(err)
	}
	var lines lines
	options := w.quick
	options.SlotEvery = time.Millisecond
	o := outbox.New(w.db, &fakeBus{}, slog.New(slog.NewTextHandler(&lines, nil)), options)
	w.start(t, o)
	eventually(t, "it was said", func() bool { return lines.count("set max_slot_wal_keep_size") == 1 })
	kept := o.Stats().SlotKept
	sqldbtest.Exec(t, w.db, `CREATE TABLE busy AS SELECT repeat('x', 1000) FROM generate_series(1, 100)`)
	eventually(t, "the slot was looked at again", func() bool { return o.Stats().SlotKept != kept })
	if n := lines.count("set max_slot_wal_keep_size"); n != 1 {
		t.Errorf("it was said %d times", n)
	}
}

// lines is a log.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(line []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(line)
}

func (l *lines) count(text string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), text)
}

func TestChangeDataCaptureOfSQLiteIsRefusedInOneLine(t *testing.T) {
	options := quick
	options.Reader = outbox.Capture
	db := sqldbtest.SQLite(t)
	o := newOutbox(t, db, &fakeBus{}, options)
	start(t, o)
	eventually(t, "it says why", func() bool {
		err := o.Ready()
		return err != nil && strings.Contains(err.Error(), "needs PostgreSQL") && !strings.Contains(err.Error(), "\n")
	})
}

func TestASlotHasANameThatTheServerTakes(t *testing.T) {
	w := newPostgres(t, outbox.Capture)
	options := w.quick
	options.Slot = `no"; DROP TABLE outbox`
	o := outbox.New(w.db, &fakeBus{}, slog.New(slog.DiscardHandler), options)
	if err := o.DropSlot(t.Context()); err == nil || !strings.Contains(err.Error(), "cannot name a replication slot") {
		t.Errorf("got %v", err)
	}
}
