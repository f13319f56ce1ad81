package sqlitebus_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"slices"
	"testing"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/eventbustest"
)

// BenchmarkBus compares with the driver alone, used as well as it can be: one
// table with the same columns, prepared statements, transactions of the same
// size, synced to the disk.
func BenchmarkBus(b *testing.B) {
	dir := b.TempDir()
	db := rawFile(filepath.Join(dir, "raw.db"))
	defer db.Close()
	var insert, take, remove *sql.Stmt
	eventbustest.Benchmark(b, harness(filepath.Join(dir, "bus.db")), eventbustest.Raw{
		Prepare: func(b *testing.B) {
			if _, err := db.Exec(rawTable); err != nil {
				b.Fatal(err)
			}
			for _, p := range []struct {
				into **sql.Stmt
				text string
			}{
				{&insert, rawRow},
				{&take, `SELECT seq, id, source, type, subject, time, contenttype, correlation, causation, trace, sequence, data
					FROM raw ORDER BY seq LIMIT ?`},
				{&remove, `DELETE FROM raw WHERE seq <= ?`},
			} {
				statement, err := db.Prepare(p.text)
				if err != nil {
					b.Fatal(err)
				}
				b.Cleanup(func() { statement.Close() })
				*p.into = statement
			}
		},
		Publish: func(b *testing.B, events []eventbus.Event) {
			for call := range slices.Chunk(events, 1000) {
				rawInsert(b, db, insert, call)
			}
		},
		PublishSingly: func(b *testing.B, events []eventbus.Event) {
			for n := range events {
				rawInsert(b, db, insert, events[n:n+1])
			}
		},
		Consume: func(b *testing.B, count int) {
			for taken := 0; taken < count; taken += 100 {
				rawTake(b, db, take, remove, 100)
			}
		},
	})
}

func rawInsert(b *testing.B, db *sql.DB, insert *sql.Stmt, events []eventbus.Event) {
	b.Helper()
	inTx(b, db, func(tx *sql.Tx) error {
		insert := tx.Stmt(insert)
		for _, e := range events {
			if _, err := insert.Exec(e.ID, e.Source, e.Type, e.Subject, eventbus.FormatTime(e.Time), e.ContentType(),
				e.CorrelationID, e.CausationID, e.TraceParent, e.Sequence, e.Data); err != nil {
				return err
			}
		}
		return nil
	})
}

func rawTake(b *testing.B, db *sql.DB, take, remove *sql.Stmt, count int) {
	b.Helper()
	inTx(b, db, func(tx *sql.Tx) error {
		rows, err := tx.Stmt(take).Query(count)
		if err != nil {
			return err
		}
		defer rows.Close()
		var seq int64
		var e eventbus.Event
		var at string
		for rows.Next() {
			if err := rows.Scan(&seq, &e.ID, &e.Source, &e.Type, &e.Subject, &at, &e.DataContentType,
				&e.CorrelationID, &e.CausationID, &e.TraceParent, &e.Sequence, &e.Data); err != nil {
				return err
			}
		}
		if err := rows.Err(); err != nil {
			return err
		}
		_, err = tx.Stmt(remove).Exec(seq)
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
