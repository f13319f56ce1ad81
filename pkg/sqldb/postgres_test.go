package sqldb_test

import (
	"errors"
	"sync"
	"testing"

	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

func TestPostgresRepeatsATransactionThatLostADeadlock(t *testing.T) {
	db := sqldbtest.Postgres(t)
	sqldbtest.Exec(t, db, `CREATE TABLE account (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL)`)
	sqldbtest.Exec(t, db, `INSERT INTO account VALUES (1, 0), (2, 0)`)
	var both, group sync.WaitGroup
	both.Add(2)
	runs := make(chan struct{}, 20)
	add := func(first, second int) {
		meet := sync.OnceFunc(func() { both.Done(); both.Wait() }) // each holds one row: the deadlock is certain
		err := db.Update(t.Context(), func(tx sqldb.Tx) error {
			runs <- struct{}{}
			if _, err := tx.Exec(t.Context(), `UPDATE account SET balance = balance + 1 WHERE id = $1`, first); err != nil {
				return err
			}
			meet()
			_, err := tx.Exec(t.Context(), `UPDATE account SET balance = balance + 1 WHERE id = $1`, second)
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
	group.Go(func() { add(1, 2) })
	group.Go(func() { add(2, 1) })
	group.Wait()
	if sum := sqldbtest.Count(t, db, `SELECT CAST(sum(balance) AS BIGINT) FROM account`); sum != 4 {
		t.Errorf("the balances sum up to %d, want 4", sum)
	}
	if len(runs) < 3 {
		t.Errorf("%d runs of two transactions that deadlocked, want at least 3", len(runs))
	}
}

func TestPostgresGivesUpWhenTheFunctionAlwaysConflicts(t *testing.T) {
	db := sqldbtest.Postgres(t)
	runs := 0
	err := db.Update(t.Context(), func(tx sqldb.Tx) error {
		runs++
		_, err := tx.Exec(t.Context(), `DO $$ BEGIN RAISE EXCEPTION 'conflict' USING ERRCODE = '40001'; END $$`)
		return err
	})
	if err == nil || runs != 10 || !sqldb.IsUnavailable(err) {
		t.Errorf("%d runs ended with %v", runs, err)
	}
}

func TestPostgresRecoversFromKilledConnections(t *testing.T) {
	url := sqldbtest.PostgresURL(t)
	db, err := sqldb.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	sqldbtest.Exec(t, db, `CREATE TABLE item (id BIGINT)`)
	err = db.Update(t.Context(), func(tx sqldb.Tx) error {
		if _, err := tx.Exec(t.Context(), `INSERT INTO item VALUES (1)`); err != nil {
			return err
		}
		sqldbtest.KillConnections(t, url)
		_, err := tx.Exec(t.Context(), `INSERT INTO item VALUES (2)`)
		return err
	})
	if !sqldb.IsUnavailable(err) {
		t.Errorf("%v is not told to be the database's fault", err)
	}
	sqldbtest.Eventually(t, "the database came back", func() bool {
		return db.Update(t.Context(), func(tx sqldb.Tx) error {
			_, err := tx.Exec(t.Context(), `INSERT INTO item VALUES (3)`)
			return err
		}) == nil
	})
	if n := sqldbtest.Count(t, db, `SELECT count(*) FROM item WHERE id < 3`); n != 0 {
		t.Errorf("%d rows of the killed transaction stayed", n)
	}
}

func TestPostgresSurvivesASchemaThatChangesUnderItsPlans(t *testing.T) {
	db := sqldbtest.Postgres(t)
	sqldbtest.Exec(t, db, `CREATE TABLE item (id BIGINT)`)
	read := func() error {
		return db.Update(t.Context(), func(tx sqldb.Tx) error {
			rows, err := tx.Query(t.Context(), `SELECT * FROM item`)
			if err != nil {
				return err
			}
			_, err = sqldb.Collect(rows, func(sqldb.Row) (int, error) { return 0, nil })
			return err
		})
	}
	if err := read(); err != nil {
		t.Fatal(err)
	}
	sqldbtest.Exec(t, db, `ALTER TABLE item ADD COLUMN name TEXT`)
	if err := read(); err != nil {
		t.Error(err)
	}
}

func TestPoolIsPostgresOnly(t *testing.T) {
	if _, ok := sqldb.Pool(sqldbtest.SQLite(t)); ok {
		t.Error("SQLite has a pgx pool")
	}
	pool, ok := sqldb.Pool(&sqldbtest.Cuttable{DB: sqldbtest.Postgres(t)})
	if !ok || errors.Is(pool.Ping(t.Context()), errors.ErrUnsupported) {
		t.Error("a wrapped PostgreSQL has no pool")
	}
}
