package outbox_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"

	"orderflow/pkg/cause"
	"orderflow/pkg/outbox"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

// load is commands that go on while other things break: they change one of a
// few aggregates and say so, linger between their numbers and their commits,
// and some change their mind.
type load struct {
	db      sqldb.DB
	out     *outbox.Outbox // adds, and publishes nothing
	running sync.WaitGroup
	end     context.CancelFunc
}

var errChangedItsMind = errors.New("changed its mind")

// startLoad runs until stop.
func startLoad(t testing.TB, db sqldb.DB, writers int) *load {
	t.Helper()
	l := &load{db: db, out: newOutbox(t, db, &fakeBus{}, quick)}
	sqldbtest.Exec(t, db, `CREATE TABLE aggregate (id TEXT PRIMARY KEY, version BIGINT NOT NULL)`)
	sqldbtest.Exec(t, db, `INSERT INTO aggregate VALUES ('a', 0), ('b', 0), ('c', 0), ('d', 0), ('e', 0), ('f', 0)`)
	ctx, cancel := context.WithCancel(context.Background())
	l.end = cancel
	t.Cleanup(l.stop)
	for w := range writers {
		random := rand.New(rand.NewPCG(uint64(w), 1))
		l.running.Go(func() {
			for ctx.Err() == nil {
				if err := l.command(ctx, random); err != nil && ctx.Err() == nil && !errors.Is(err, errChangedItsMind) {
					t.Error(err)
					return
				}
			}
		})
	}
	return l
}

// command is one transaction on one aggregate, of one to three events.
func (l *load) command(ctx context.Context, random *rand.Rand) error {
	subject := string(rune('a' + random.IntN(6)))
	events, linger, wrong := 1+random.IntN(3), random.Float64()*0.004, random.IntN(5) == 0
	return l.db.Update(ctx, func(tx sqldb.Tx) error {
		var version int
		err := tx.QueryRow(ctx, `UPDATE aggregate SET version = version + $1 WHERE id = $2 RETURNING version`, events, subject).Scan(&version)
		if err != nil {
			return err
		}
		for n := version - events + 1; n <= version; n++ {
			id := fmt.Sprint(subject, " ", n)
			if wrong {
				id = fmt.Sprint("never ", subject, n, random.Int64())
			}
			if err := l.out.Add(ctx, tx, cause.Cause{}, event(id, subject)); err != nil {
				return err
			}
		}
		if wrong {
			return errChangedItsMind
		}
		var nothing string
		return tx.QueryRow(ctx, `SELECT CAST(pg_sleep($1) AS TEXT)`, linger).Scan(&nothing)
	})
}

func (l *load) stop() {
	l.end()
	l.running.Wait()
}

// check makes sure that the bus got every event that was committed, each
// subject's in the order of the commits as far as the first time counts, and
// nothing else.
func (l *load) check(t testing.TB, ids []string) {
	t.Helper()
	rows, err := l.db.Query(t.Context(), `SELECT id, version FROM aggregate`)
	if err != nil {
		t.Fatal(err)
	}
	committed := map[string]int{}
	_, err = sqldb.Collect(rows, func(row sqldb.Row) (subject string, err error) {
		var version int
		err = row.Scan(&subject, &version)
		committed[subject] = version
		return subject, err
	})
	if err != nil {
		t.Fatal(err)
	}
	total := 0
	last := map[string]int{}
	for _, id := range firsts(ids) {
		subject, text, _ := strings.Cut(id, " ")
		n, err := strconv.Atoi(text)
		if err != nil {
			t.Fatalf("%q was published", id)
		}
		if n != last[subject]+1 {
			t.Fatalf("%s came after %s %d", id, subject, last[subject])
		}
		last[subject] = n
		total++
	}
	for subject, version := range committed {
		if last[subject] != version {
			t.Errorf("the bus has %d events of %s, %d were committed", last[subject], subject, version)
		}
	}
	t.Logf("%d events, %d publishes", total, len(ids))
}

// quiet waits until everything was sent, whatever breaks.
func (l *load) quiet(t testing.TB) {
	t.Helper()
	l.stop()
	waitSentAgain(t, l.out)
}

// The argument is in docs/decisions/0007-the-order-of-the-outbox.md. This is the
// attempt to prove it wrong: numbers are drawn long before commits, and the
// publishers take the lease from one another all the time.
func TestEachSubjectIsPublishedInTheOrderOfItsCommitsByManyPublishers(t *testing.T) {
	eachPostgres(t, func(t *testing.T, w *world) {
		bus := &fakeBus{}
		options := w.quick
		options.Window = 20
		for range 3 {
			start(t, newOutbox(t, connect(t, w.url), bus, options))
		}
		l := startLoad(t, w.db, 6)
		for takeover := range 8 {
			sent := len(bus.ids())
			eventually(t, "some were sent", func() bool { return len(bus.ids()) > sent+40 })
			sqldbtest.Exec(t, w.db, `UPDATE lease SET epoch = epoch + 1, holder = $1, expires_at = 0 WHERE name = 'outbox'`, fmt.Sprint("thief ", takeover))
		}
		l.quiet(t)
		l.check(t, bus.ids())
	})
}

// rounds is how often to break something.
func rounds(short, long int) int {
	if os.Getenv("TEST_LONG") == "1" {
		return long
	}
	return short
}
