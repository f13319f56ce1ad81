package sqlitebus_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/eventbustest"
)

// BenchmarkBus compares with the driver alone: one table, prepared statements,
// transactions of the same size, synced to the disk.
func BenchmarkBus(b *testing.B) {
	dir := b.TempDir()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(dir, "raw.db")+
		"?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		b.Fatal(err)
	}
	defer db.Close()
	db.SetMaxOpenConns(1)
	eventbustest.Benchmark(b, harness(filepath.Join(dir, "bus.db")), eventbustest.Raw{
		Prepare: func(b *testing.B) {
			if _, err := db.Exec(`CREATE TABLE raw (seq INTEGER PRIMARY KEY, id TEXT, type TEXT, subject TEXT, data BLOB)`); err != nil {
				b.Fatal(err)
			}
		},
		Publish: func(b *testing.B, events []eventbus.Event) {
			for from := 0; from < len(events); from += 500 {
				rawInsert(b, db, events[from:from+500])
			}
		},
		PublishSingly: func(b *testing.B, events []eventbus.Event) {
			for n := range events {
				rawInsert(b, db, events[n:n+1])
			}
		},
		Consume: func(b *testing.B, count int) {
			for taken := 0; taken < count; taken += 100 {
				rawTake(b, db, 100)
			}
		},
	})
}

func rawInsert(b *testing.B, db *sql.DB, events []eventbus.Event) {
	b.Helper()
	inTx(b, db, func(tx *sql.Tx) error {
		insert, err := tx.Prepare(`INSERT INTO raw (id, type, subject, data) VALUES (?, ?, ?, ?)`)
		if err != nil {
			return err
		}
		for _, e := range events {
			if _, err := insert.Exec(e.ID, e.Type, e.Subject, e.Data); err != nil {
				return err
			}
		}
		return nil
	})
}

func rawTake(b *testing.B, db *sql.DB, count int) {
	b.Helper()
	inTx(b, db, func(tx *sql.Tx) error {
		rows, err := tx.Query(`SELECT seq, id, type, subject, data FROM raw ORDER BY seq LIMIT ?`, count)
		if err != nil {
			return err
		}
		defer rows.Close()
		var seq int64
		var e eventbus.Event
		for rows.Next() {
			if err := rows.Scan(&seq, &e.ID, &e.Type, &e.Subject, &e.Data); err != nil {
				return err
			}
		}
		if err := rows.Err(); err != nil {
			return err
		}
		_, err = tx.Exec(`DELETE FROM raw WHERE seq <= ?`, seq)
		return err
	})
}

func inTx(b *testing.B, db *sql.DB, fn func(*sql.Tx) error) {
	b.Helper()
	tx, err := db.BeginTx(context.Background(), nil)
	if err != nil {
		b.Fatal(err)
	}
	if err := fn(tx); err != nil {
		b.Fatal(err)
	}
	if err := tx.Commit(); err != nil {
		b.Fatal(err)
	}
}
