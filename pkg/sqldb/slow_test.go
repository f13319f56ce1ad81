package sqldb_test

import (
	"context"
	"errors"
	"net/url"
	"testing"

	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

// impatient returns a database that has a second for an answer, on one connection.
func impatient(t *testing.T) sqldb.DB {
	t.Helper()
	address, err := url.Parse(sqldbtest.PostgresURL(t))
	if err != nil {
		t.Fatal(err)
	}
	query := address.Query()
	query.Set("answer_within", "1s")
	query.Set("pool_max_conns", "1")
	address.RawQuery = query.Encode()
	db, err := sqldb.Open(t.Context(), address.String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	return db
}

// TestAServerThatIsTooSlowIsThere keeps what takes too long apart from a server
// that is away: it stops, and its connection goes on.
func TestAServerThatIsTooSlowIsThere(t *testing.T) {
	update := func(fn func(tx sqldb.Tx) error) func(sqldb.DB) error {
		return func(db sqldb.DB) error { return db.Update(t.Context(), fn) }
	}
	for name, use := range map[string]func(sqldb.DB) error{
		"a query": func(db sqldb.DB) error {
			rows, err := db.Query(t.Context(), `SELECT n FROM generate_series(1, 1000) AS n, pg_sleep(60 + n)`)
			if err != nil {
				return err
			}
			_, err = sqldb.Collect(rows, func(r sqldb.Row) (n int, err error) { return n, r.Scan(&n) })
			return err
		},
		"a row": func(db sqldb.DB) error {
			return db.QueryRow(t.Context(), `SELECT 1 FROM pg_sleep(60)`).Scan(new(int))
		},
		"the first statement": update(func(tx sqldb.Tx) error {
			_, err := tx.Exec(t.Context(), `SELECT pg_sleep(60)`)
			return err
		}),
		"a later statement": update(func(tx sqldb.Tx) error {
			if _, err := tx.Exec(t.Context(), `SELECT 1`); err != nil {
				return err
			}
			return tx.QueryRow(t.Context(), `SELECT 1 FROM pg_sleep(60)`).Scan(new(int))
		}),
		"one that is queued": update(func(tx sqldb.Tx) error {
			tx.Queue(`SELECT pg_sleep(60)`)
			return nil
		}),
		"many that are queued, together": update(func(tx sqldb.Tx) error {
			for range 600 {
				tx.Queue(`SELECT pg_sleep(0.1)`)
			}
			return nil
		}),
		"a lock": update(func(tx sqldb.Tx) error {
			_, err := tx.Exec(t.Context(), `UPDATE item SET id = 3`)
			return err
		}),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			db := impatient(t)
			sqldbtest.Exec(t, db, `CREATE TABLE item (id BIGINT)`)
			sqldbtest.Exec(t, db, `INSERT INTO item VALUES (1)`)
			session := sqldbtest.Count(t, db, `SELECT pg_backend_pid()`)
			if name == "a lock" {
				lockRow(t, db)
			}
			err := use(db)
			if !sqldb.IsBusy(err) || !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("got %v, want one that says it took too long", err)
			}
			if now := sqldbtest.Count(t, db, `SELECT pg_backend_pid()`); now != session {
				t.Error("the connection was given up")
			}
		})
	}
}

// lockRow locks the row of the table item on a connection of its own until the
// test ends.
func lockRow(t *testing.T, db sqldb.DB) {
	t.Helper()
	pool, ok := sqldb.Pool(db)
	if !ok {
		t.Fatal("not on PostgreSQL")
	}
	other, err := sqldb.Open(t.Context(), pool.Config().ConnString())
	if err != nil {
		t.Fatal(err)
	}
	locked, done, ended := make(chan struct{}), make(chan struct{}), make(chan error, 1)
	go func() {
		ended <- other.Update(context.WithoutCancel(t.Context()), func(tx sqldb.Tx) error {
			_, err := tx.Exec(context.WithoutCancel(t.Context()), `UPDATE item SET id = 2`)
			close(locked)
			<-done
			return err
		})
	}()
	<-locked
	t.Cleanup(func() {
		close(done)
		if err := <-ended; err != nil {
			t.Error(err)
		}
		other.Close()
	})
}

func TestWhatTheDatabaseIsTooBusyFor(t *testing.T) {
	db := sqldbtest.Postgres(t)
	raise := func(code string) error {
		return db.Update(t.Context(), func(tx sqldb.Tx) error {
			_, err := tx.Exec(t.Context(), `DO $$ BEGIN RAISE EXCEPTION 'no' USING ERRCODE = '`+code+`'; END $$`)
			return err
		})
	}
	for code, want := range map[string]struct{ busy, unavailable bool }{
		"40001": {true, true},   // serialization failure
		"40P01": {true, true},   // deadlock
		"55P03": {true, true},   // lock_timeout
		"57014": {true, true},   // statement_timeout, or a person with pg_cancel_backend
		"53300": {false, true},  // too many connections
		"57P01": {false, true},  // shutting down
		"23505": {false, false}, // a key that is there
	} {
		err := raise(code)
		if sqldb.IsBusy(err) != want.busy || sqldb.IsUnavailable(err) != want.unavailable {
			t.Errorf("%v: busy %t, unavailable %t; want %t, %t", err, sqldb.IsBusy(err), sqldb.IsUnavailable(err), want.busy, want.unavailable)
		}
	}
}
