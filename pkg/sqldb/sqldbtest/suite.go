package sqldbtest

import (
	"context"
	"errors"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/sqldb"
)

// Run shows that a dialect keeps what package sqldb promises. connect returns
// another connection to one empty database at each call.
func Run(t *testing.T, connect func(t *testing.T) sqldb.DB) {
	db := connect(t)
	Exec(t, db, `CREATE TABLE item (id BIGINT PRIMARY KEY, name TEXT UNIQUE, at BIGINT, data `+blob(db)+`)`)
	for _, promise := range []struct {
		name string
		test func(t *testing.T, db sqldb.DB)
	}{
		{"WhatWasCommittedIsThere", whatWasCommittedIsThere},
		{"PlaceholdersMayRepeatAndComeInAnyOrder", placeholdersMayRepeatAndComeInAnyOrder},
		{"PortableStatementsRun", portableStatementsRun},
		{"NothingIsErrNoRows", nothingIsErrNoRows},
		{"CollectReadsAllOrFails", collectReadsAllOrFails},
		{"AnErrorLeavesNoTrace", anErrorLeavesNoTrace},
		{"APanicRollsBackAndGoesOn", aPanicRollsBackAndGoesOn},
		{"AfterCommitRunsOnlyThen", afterCommitRunsOnlyThen},
		{"AViewIsOneSnapshotAndCannotWrite", aViewIsOneSnapshotAndCannotWrite},
		{"AUniqueViolationIsTold", aUniqueViolationIsTold},
		{"AnEndedContextStopsAndRollsBack", anEndedContextStopsAndRollsBack},
		{"QueuedStatementsRunInOrder", queuedStatementsRunInOrder},
		{"AFailedQueuedStatementNeverCommits", aFailedQueuedStatementNeverCommits},
		{"AnErrorDropsWhatIsQueued", anErrorDropsWhatIsQueued},
		{"ScrubbingKeepsWhatIsThere", scrubbingKeepsWhatIsThere},
	} {
		t.Run(promise.name, func(t *testing.T) {
			promise.test(t, db)
			Exec(t, db, `DELETE FROM item`)
		})
	}
	t.Run("ConcurrentUpdatesLoseNothing", func(t *testing.T) { concurrentUpdatesLoseNothing(t, db, connect(t)) })
	t.Run("ConcurrentStartersMigrateOnce", func(t *testing.T) { concurrentStartersMigrateOnce(t, db, connect) })
	leaseSuite(t, connect)
}

func whatWasCommittedIsThere(t *testing.T, db sqldb.DB) {
	at := time.Date(2026, 3, 4, 5, 6, 7, 89_000, time.UTC)
	Exec(t, db, `INSERT INTO item (id, name, at, data) VALUES ($1, $2, $3, $4)`, 1, "one", sqldb.Micros(at), []byte{0, 1})
	var name string
	var micros int64
	var data []byte
	if err := db.QueryRow(t.Context(), `SELECT name, at, data FROM item WHERE id = $1`, 1).Scan(&name, &micros, &data); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]any{"one", at, []byte{0, 1}}, []any{name, sqldb.Time(micros), data}); diff != "" {
		t.Error(diff)
	}
}

func placeholdersMayRepeatAndComeInAnyOrder(t *testing.T, db sqldb.DB) {
	Exec(t, db, `INSERT INTO item (name, id, at) VALUES ($2, $1, $1)`, 7, "seven")
	if got := Count(t, db, `SELECT count(*) FROM item WHERE name = $2 AND id = $1 AND at = $1`, 7, "seven"); got != 1 {
		t.Errorf("found %d rows, want 1", got)
	}
}

func portableStatementsRun(t *testing.T, db sqldb.DB) {
	upsert := `INSERT INTO item (id, name, at) VALUES ($1, $2, $3)
		ON CONFLICT (id) DO UPDATE SET name = excluded.name WHERE item.at < excluded.at RETURNING name`
	var got string
	err := db.Update(t.Context(), func(tx sqldb.Tx) error {
		if err := tx.QueryRow(t.Context(), upsert, 1, "old", 1).Scan(&got); err != nil {
			return err
		}
		return tx.QueryRow(t.Context(), upsert, 1, "new", 2).Scan(&got)
	})
	if err != nil || got != "new" {
		t.Fatalf("got %q, %v", got, err)
	}
	if sum := Count(t, db, `WITH x AS (SELECT id FROM item) SELECT CAST(sum(id) AS BIGINT) FROM x`); sum != 1 {
		t.Errorf("sum %d, want 1", sum)
	}
}

func nothingIsErrNoRows(t *testing.T, db sqldb.DB) {
	var n int
	for _, q := range []sqldb.Querier{db} {
		if err := q.QueryRow(t.Context(), `SELECT id FROM item WHERE id = 99`).Scan(&n); !errors.Is(err, sqldb.ErrNoRows) {
			t.Errorf("got %v, want ErrNoRows", err)
		}
	}
	err := db.Update(t.Context(), func(tx sqldb.Tx) error {
		return tx.QueryRow(t.Context(), `SELECT id FROM item WHERE id = 99`).Scan(&n)
	})
	if !errors.Is(err, sqldb.ErrNoRows) {
		t.Errorf("got %v in a transaction, want ErrNoRows", err)
	}
}

func collectReadsAllOrFails(t *testing.T, db sqldb.DB) {
	scan := func(r sqldb.Row) (id int64, err error) { return id, r.Scan(&id) }
	collect := func(query string) ([]int64, error) {
		rows, err := db.Query(t.Context(), query)
		if err != nil {
			return nil, err
		}
		return sqldb.Collect(rows, scan)
	}
	none, err := collect(`SELECT id FROM item`)
	if err != nil || none == nil || len(none) != 0 {
		t.Errorf("of an empty table: %v, %v; want an empty slice", none, err)
	}
	Exec(t, db, `INSERT INTO item (id) VALUES (1), (2), (3)`)
	all, err := collect(`SELECT id FROM item ORDER BY id`)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]int64{1, 2, 3}, all); diff != "" {
		t.Error(diff)
	}
	if got, err := collect(`SELECT nothing FROM item`); err == nil {
		t.Errorf("a column that is not there gave %v", got)
	}
}

func anErrorLeavesNoTrace(t *testing.T, db sqldb.DB) {
	refusal := errors.New("no")
	err := db.Update(t.Context(), func(tx sqldb.Tx) error {
		if n, err := tx.Exec(t.Context(), `INSERT INTO item (id) VALUES (1), (2)`); err != nil || n != 2 {
			t.Fatalf("inserted %d, %v", n, err)
		}
		return refusal
	})
	if !errors.Is(err, refusal) {
		t.Errorf("got %v, want the error of the function", err)
	}
	if n := Count(t, db, `SELECT count(*) FROM item`); n != 0 {
		t.Errorf("%d rows stayed", n)
	}
}

func aPanicRollsBackAndGoesOn(t *testing.T, db sqldb.DB) {
	func() {
		defer func() {
			if r := recover(); r != "boom" {
				t.Errorf("recovered %v, want boom", r)
			}
		}()
		_ = db.Update(t.Context(), func(tx sqldb.Tx) error {
			if _, err := tx.Exec(t.Context(), `INSERT INTO item (id) VALUES (1)`); err != nil {
				t.Error(err)
			}
			panic("boom")
		})
	}()
	if n := Count(t, db, `SELECT count(*) FROM item`); n != 0 {
		t.Errorf("%d rows stayed", n)
	}
	Exec(t, db, `DELETE FROM item`) // the writer is free again
}

func afterCommitRunsOnlyThen(t *testing.T, db sqldb.DB) {
	var ran []string
	_ = db.Update(t.Context(), func(tx sqldb.Tx) error {
		tx.AfterCommit(func() { ran = append(ran, "rolled back") })
		return errors.New("no")
	})
	err := db.Update(t.Context(), func(tx sqldb.Tx) error {
		for _, name := range []string{"first", "second"} {
			tx.AfterCommit(func() {
				if n := Count(t, db, `SELECT count(*) FROM item`); n != 1 {
					t.Errorf("%s: %d rows are visible, want 1", name, n)
				}
				ran = append(ran, name)
			})
		}
		_, err := tx.Exec(t.Context(), `INSERT INTO item (id) VALUES (1)`)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"first", "second"}, ran); diff != "" {
		t.Error(diff)
	}
}

func aViewIsOneSnapshotAndCannotWrite(t *testing.T, db sqldb.DB) {
	err := db.View(t.Context(), func(tx sqldb.Tx) error {
		before := Count(t, tx, `SELECT count(*) FROM item`)
		Exec(t, db, `INSERT INTO item (id) VALUES (1)`)
		if after := Count(t, tx, `SELECT count(*) FROM item`); after != before {
			t.Errorf("the view saw %d rows, then %d", before, after)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	err = db.View(t.Context(), func(tx sqldb.Tx) error {
		_, err := tx.Exec(t.Context(), `INSERT INTO item (id) VALUES (2)`)
		return err
	})
	if err == nil {
		t.Error("a view wrote")
	}
}

func aUniqueViolationIsTold(t *testing.T, db sqldb.DB) {
	Exec(t, db, `INSERT INTO item (id, name) VALUES (1, 'one')`)
	for _, statement := range []string{`INSERT INTO item (id) VALUES (1)`, `INSERT INTO item (id, name) VALUES (2, 'one')`} {
		err := db.Update(t.Context(), func(tx sqldb.Tx) error {
			_, err := tx.Exec(t.Context(), statement)
			return err
		})
		if !sqldb.IsUniqueViolation(err) || sqldb.IsUnavailable(err) {
			t.Errorf("%s: %v is no unique violation", statement, err)
		}
	}
	err := db.Update(t.Context(), func(tx sqldb.Tx) error {
		_, err := tx.Exec(t.Context(), `INSERT INTO nothing (id) VALUES (1)`)
		return err
	})
	if err == nil || sqldb.IsUniqueViolation(err) || sqldb.IsUnavailable(err) {
		t.Errorf("%v was taken for something else", err)
	}
}

func concurrentUpdatesLoseNothing(t *testing.T, db, other sqldb.DB) {
	Exec(t, db, `INSERT INTO item (id, at) VALUES (1, 0), (2, 0)`)
	const writers, each = 4, 15
	var group sync.WaitGroup
	for w := range writers {
		group.Go(func() {
			conn := []sqldb.DB{db, other}[w%2]
			for range each {
				err := conn.Update(t.Context(), func(tx sqldb.Tx) error {
					if _, err := tx.Exec(t.Context(), `UPDATE item SET at = at + 1 WHERE id = 1`); err != nil {
						return err
					}
					_, err := tx.Exec(t.Context(), `UPDATE item SET at = at + 1 WHERE id = 2`)
					return err
				})
				if err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	group.Wait()
	if n := Count(t, db, `SELECT CAST(sum(at) AS BIGINT) FROM item`); n != 2*writers*each {
		t.Errorf("counted to %d, want %d", n, 2*writers*each)
	}
}

func anEndedContextStopsAndRollsBack(t *testing.T, db sqldb.DB) {
	ctx, cancel := context.WithCancel(t.Context())
	err := db.Update(ctx, func(tx sqldb.Tx) error {
		if _, err := tx.Exec(ctx, `INSERT INTO item (id) VALUES (1)`); err != nil {
			return err
		}
		cancel()
		return ctx.Err()
	})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want context.Canceled", err)
	}
	if n := Count(t, db, `SELECT count(*) FROM item`); n != 0 {
		t.Errorf("%d rows stayed", n)
	}
}

func concurrentStartersMigrateOnce(t *testing.T, db sqldb.DB, connect func(t *testing.T) sqldb.DB) {
	files := fstest.MapFS{}
	for _, dialect := range []string{"sqlite", "postgres"} {
		files[dialect+"/00001_a.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nCREATE TABLE made (id BIGINT PRIMARY KEY);\n")}
		files[dialect+"/00002_b.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nINSERT INTO made VALUES (1);\n")}
		files[dialect+"/00003_c.sql"] = &fstest.MapFile{Data: []byte("-- +goose Up\nUPDATE made SET id = id + 1;\n")}
	}
	var group sync.WaitGroup
	for range 4 {
		conn := connect(t)
		group.Go(func() {
			if err := sqldb.Migrate(t.Context(), conn, "suite", files); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if n := Count(t, db, `SELECT id FROM made`); n != 2 {
		t.Errorf("the migrations made %d, want 2", n)
	}
	// A second component has its own versions, and a failing one says so.
	if err := sqldb.Migrate(t.Context(), db, "other", fstest.MapFS{
		string(db.Dialect()) + "/00001_bad.sql": &fstest.MapFile{Data: []byte("-- +goose Up\nCREATE TABLE made (id BIGINT);\n")},
	}); err == nil {
		t.Error("creating a table twice is no error")
	}
}

func blob(db sqldb.DB) string {
	if db.Dialect() == sqldb.Postgres {
		return "BYTEA"
	}
	return "BLOB"
}

func scrubbingKeepsWhatIsThere(t *testing.T, db sqldb.DB) {
	Exec(t, db, `INSERT INTO item (id, name) VALUES (1, 'one'), (2, 'two')`)
	Exec(t, db, `DELETE FROM item WHERE id = 1`)
	for range 2 {
		if err := db.Scrub(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if n := Count(t, db, `SELECT count(*) FROM item WHERE name = 'two'`); n != 1 {
		t.Errorf("%d of 1 row", n)
	}
	Exec(t, db, `INSERT INTO item (id, name) VALUES (3, 'three')`) // and it can be written to
}
