package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/outbox"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

// history reads all of it, and the position of each event.
func history(t *testing.T, o *outbox.Outbox, after, end int64) (events []eventbus.Event, last int64) {
	t.Helper()
	last = after
	err := o.History().Read(t.Context(), after, end, func(_ context.Context, page []eventbus.Event, position int64) error {
		if position <= last || position > end {
			t.Errorf("a page behind %d ends at %d", last, position)
		}
		events, last = append(events, page...), position
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return events, last
}

func end(t *testing.T, o *outbox.Outbox) int64 {
	t.Helper()
	position, err := o.History().End(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return position
}

func TestTheHistoryIsWhatWasAnnouncedInThatOrder(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		bus := &fakeBus{}
		bus.set(refuse(eventbus.ErrUnroutable, "late"))
		o := newOutbox(t, w.db, bus, w.quick)
		if n := end(t, o); n != 0 {
			t.Errorf("the history of nothing ends at %d", n)
		}
		stop := w.start(t, o)
		for i := range 25 {
			add(t, w.db, o, event(fmt.Sprintf("%d-first", i), fmt.Sprint("s", i%4)), event(fmt.Sprintf("%d-second", i), fmt.Sprint("s", i%3)))
		}
		add(t, w.db, o, event("late", "s1"), event("after", "s1"))
		waitSent(t, o)
		bus.set(nil)
		if err := o.Redrive(t.Context(), "late"); err != nil { // it is announced behind what was added later
			t.Fatal(err)
		}
		waitSent(t, o)
		last := end(t, o)
		stop()
		if last != 52 {
			t.Errorf("the history ends at %d, want 52", last)
		}
		events, at := history(t, o, 0, last)
		if at != last || len(events) != 52 || events[51].ID != "late" {
			t.Errorf("%d events up to %d", len(events), at)
		}
		var ids []string
		for _, e := range events {
			ids = append(ids, e.ID)
		}
		if diff := cmp.Diff(bus.ids(), ids); diff != "" {
			t.Errorf("not the order of the announcements:\n%s", diff)
		}
		if diff := cmp.Diff(bus.events, events); diff != "" {
			t.Errorf("not what was announced:\n%s", diff)
		}
		// From anywhere, up to anywhere, page by page.
		if part, at := history(t, o, 10, 20); at != 20 || len(part) != 10 || part[0].ID != ids[10] || part[9].ID != ids[19] {
			t.Errorf("%d events up to %d", len(part), at)
		}
		if part, at := history(t, o, last, last); at != last || len(part) != 0 {
			t.Errorf("behind the end are %d events, up to %d", len(part), at)
		}
		err := o.History().Read(t.Context(), 0, last, func(context.Context, []eventbus.Event, int64) error { return errBusDown })
		if !errors.Is(err, errBusDown) {
			t.Errorf("the error of the one who reads became %v", err)
		}
	})
}

func TestTheHistoryIsToldEventByEvent(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		o := newOutbox(t, db, &fakeBus{}, quick)
		start(t, o)
		const count = 2500
		for batch := range slices.Chunk(names("e", count), 500) {
			var events []eventbus.Event
			for _, id := range batch {
				events = append(events, event(id, "s"))
			}
			add(t, db, o, events...)
		}
		waitSent(t, o)
		pieces := 0
		err := o.History().Read(t.Context(), 0, count, func(_ context.Context, page []eventbus.Event, _ int64) error {
			if pieces++; len(page) != 1 {
				t.Errorf("%d events at once", len(page))
			}
			return nil
		})
		if err != nil || pieces != count {
			t.Errorf("%d pieces, %v", pieces, err)
		}
	})
}

// Pages end where they have enough data, and no event is too large for one.
func TestAHistoryOfLargeEventsIsWhole(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		o := newOutbox(t, db, &fakeBus{}, quick)
		start(t, o)
		var want []string
		for n, bytes := range []int{1, 3 << 20, 3 << 20, 3 << 20, 1, 10 << 20, 9 << 20, 1} {
			e := event(fmt.Sprint("e", n), "s")
			e.Data = make([]byte, bytes)
			add(t, db, o, e)
			want = append(want, e.ID)
		}
		waitSent(t, o)
		var got []string
		err := o.History().Read(t.Context(), 0, int64(len(want)), func(_ context.Context, page []eventbus.Event, _ int64) error {
			got = append(got, page[0].ID)
			return nil
		})
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Error(diff, err)
		}
	})
}

// What is on its way to the bus may have left before a queue was bound, so the
// end of the history is not known before it is noted as announced.
func TestTheEndOfTheHistoryWaitsForWhatIsOnItsWay(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		bus := &fakeBus{}
		took, release := make(chan struct{}), make(chan struct{})
		bus.set(func(ctx context.Context, _ []eventbus.Event) error {
			close(took)
			<-release
			bus.set(nil)
			return nil
		})
		o := newOutbox(t, db, bus, quick)
		start(t, o)
		add(t, db, o, event("1", "a"))
		<-took
		short, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
		defer cancel()
		if n, err := o.History().End(short); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the end is %d, %v, while an event is on its way", n, err)
		}
		ended := make(chan int64, 1)
		go func() { ended <- end(t, o) }()
		close(release)
		if n := <-ended; n != 1 {
			t.Errorf("the end is %d", n)
		}
	})
}

// The numbers go on when old rows are gone, so that who reads the history on
// from a number misses nothing.
func TestNumbersOfAnnouncementsAreNeverUsedAgain(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		bounded := quick
		bounded.Retention = time.Millisecond
		o := newOutbox(t, db, &fakeBus{}, bounded)
		stop := start(t, o)
		add(t, db, o, event("1", "a"), event("2", "a"), event("3", "a"))
		eventually(t, "all but the last are gone", func() bool {
			return sqldbtest.Count(t, db, `SELECT count(*) FROM outbox`) == 1
		})
		stop()
		o = newOutbox(t, db, &fakeBus{}, quick)
		start(t, o)
		add(t, db, o, event("4", "a"))
		waitSent(t, o)
		if n := end(t, o); n != 4 {
			t.Errorf("the fourth announcement is number %d", n)
		}
		if events, _ := history(t, o, 3, math.MaxInt32); len(events) != 1 || events[0].ID != "4" {
			t.Errorf("behind 3 are %v", events)
		}
	})
}

// What an earlier version has sent is history, too.
func TestRowsThatWereSentBeforeThereWasAHistoryAreInIt(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		if err := sqldb.Migrate(t.Context(), db, "outbox", firstMigrations(t)); err != nil {
			t.Fatal(err)
		}
		for i, sent := range []any{30, nil, 10, 10, 20} {
			sqldbtest.Exec(t, db, `INSERT INTO outbox (id, source, type, subject, time, content_type, data, correlation_id, causation_id,
				trace_parent, sequence, request, requested_at, added_at, sent_at)
				VALUES ($1, '/orderflow/packing', 'packing.events.packed.v1', 's', 1, 'application/json', '{}', '', '', '', 0, '', 0, 1, $2)`,
				fmt.Sprint(i), sent)
		}
		o := newOutbox(t, db, &fakeBus{}, quick)
		events, _ := history(t, o, 0, 10)
		var ids []string
		for _, e := range events {
			ids = append(ids, e.ID)
		}
		if diff := cmp.Diff([]string{"2", "3", "4", "0"}, ids); diff != "" {
			t.Error(diff)
		}
		start(t, o)
		waitSent(t, o)
		if events, _ := history(t, o, 4, 10); len(events) != 1 || events[0].ID != "1" {
			t.Errorf("then came %v", events)
		}
	})
}

// firstMigrations are the tables as version 1 made them.
func firstMigrations(t *testing.T) *migrationsOnly {
	t.Helper()
	return &migrationsOnly{os.DirFS("migrations")}
}

// migrationsOnly hides all files but the first.
type migrationsOnly struct{ fs.FS }

func (m *migrationsOnly) ReadDir(name string) ([]fs.DirEntry, error) {
	entries, err := fs.ReadDir(m.FS, name)
	return slices.DeleteFunc(entries, func(e fs.DirEntry) bool { return !e.IsDir() && !strings.HasPrefix(e.Name(), "00001") }), err
}
