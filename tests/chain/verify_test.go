//go:build unix

package chain

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/es"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

var errEnough = errors.New("enough")

// committed reads the whole log: what there is of each subject, in its order.
func (w *world) committed(t *testing.T) (bySubject map[string][]int, total int) {
	t.Helper()
	bySubject = map[string][]int{}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	at := es.Position(0)
	for {
		err := w.store.Follow(ctx, at, []string{"order-"}, func(_ context.Context, batch es.Batch) error {
			for _, r := range batch.Events {
				subject := r.AggregateID().String()
				bySubject[subject] = append(bySubject[subject], int(r.Revision))
				total++
			}
			at = batch.Position
			if batch.CaughtUp {
				return errEnough
			}
			return nil
		})
		if errors.Is(err, errEnough) {
			return bySubject, total
		}
		if !errors.Is(err, es.ErrUnavailable) {
			t.Fatal(err)
		}
	}
}

// verify waits until everything that committed has arrived, and compares.
// ordered asks for the effects of each subject in the order of its stream, which
// a broker does not keep for a consumer that dies before it has worked off what
// came back from one that died before: what comes back twice comes behind what
// came back once.
func (w *world) verify(t *testing.T, ordered bool) {
	t.Helper()
	want, total := w.committed(t)
	if total < 20 {
		t.Errorf("only %d events: the test shows little", total)
	}
	for _, name := range []string{"packing", "crm"} {
		db := w.read[name]
		arrived := 0
		eventually(t, fmt.Sprintf("%s has all %d events", name, total), func() bool {
			arrived = sqldbtest.Count(t, db, `SELECT count(*) FROM effect`)
			return arrived >= total
		})
		got := effects(t, db)
		if !ordered {
			t.Logf("%s: the effects of %d subjects were in another order", name, sortEach(got))
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s has %d effects of %d events; by subject, in their order: %s", name, arrived, total, diff)
		}
		for query, want := range map[string]int{
			`SELECT count(*) FROM inbox`:                                               total,
			`SELECT count(*) FROM inbox_held`:                                          0,
			`SELECT CAST(sum(events) AS BIGINT) FROM total`:                            total,
			`SELECT CAST(sum(n) - (SELECT sum(sum) FROM total) AS BIGINT) FROM effect`: 0,
			`SELECT count(*) FROM latest WHERE sequence < (SELECT max(sequence) FROM effect WHERE effect.subject = latest.subject)`: 0,
		} {
			if n := sqldbtest.Count(t, db, query); n != want {
				t.Errorf("%s: %d, want %d: %s", name, n, want, query)
			}
		}
	}
	if n := sqldbtest.Count(t, w.read["packing"], `SELECT count(*) FROM outbox`); n != total {
		t.Errorf("%d rows in the outbox, want %d", n, total)
	}
	eventually(t, "everything is noted as published", func() bool {
		return sqldbtest.Count(t, w.order, `SELECT count(*) FROM relay_published`) == total
	})
	if n := sqldbtest.Count(t, w.order, `SELECT count(*) FROM relay_parked`); n != 0 {
		t.Errorf("%d events were parked", n)
	}
	t.Logf("%d events", total)
}

// sortEach puts the effects of each subject in order, and counts those that
// were not.
func sortEach(bySubject map[string][]int) (changed int) {
	for _, list := range bySubject {
		if !slices.IsSorted(list) {
			slices.Sort(list)
			changed++
		}
	}
	return changed
}

// effects are the revisions of each subject in the order in which they had
// their effect.
func effects(t *testing.T, db sqldb.DB) map[string][]int {
	t.Helper()
	rows, err := db.Query(t.Context(), `SELECT subject, sequence FROM effect ORDER BY seq`)
	if err != nil {
		t.Fatal(err)
	}
	type row struct {
		subject  string
		sequence int
	}
	all, err := sqldb.Collect(rows, func(r sqldb.Row) (one row, err error) {
		err = r.Scan(&one.subject, &one.sequence)
		return one, err
	})
	if err != nil {
		t.Fatal(err)
	}
	found := map[string][]int{}
	for _, r := range all {
		found[r.subject] = append(found[r.subject], r.sequence)
	}
	return found
}
