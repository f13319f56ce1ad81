package inbox_test

import (
	"context"
	"encoding/json"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

// byHand consumes into PostgreSQL as one would without this package: what the
// benchmarks compare with. Its inbox has what recognising an event takes, and
// nothing for people who look into what arrived.
type byHand struct {
	pool *pgxpool.Pool
}

func newByHand(b *testing.B, db sqldb.DB) byHand {
	b.Helper()
	sqldbtest.Exec(b, db, `CREATE TABLE hand_inbox (consumer TEXT NOT NULL, id TEXT NOT NULL, handled_at BIGINT NOT NULL, PRIMARY KEY (consumer, id))`)
	sqldbtest.Exec(b, db, `CREATE TABLE hand_job (order_id TEXT PRIMARY KEY, n BIGINT NOT NULL)`)
	pool, ok := sqldb.Pool(db)
	if !ok {
		b.Fatal("not on PostgreSQL")
	}
	return byHand{pool}
}

// one is one transaction a message: begin, note, upsert, commit.
func (h byHand) one(ctx context.Context, e eventbus.Event) error {
	var data payload
	if err := json.Unmarshal(e.Data, &data); err != nil {
		return err
	}
	return pgx.BeginFunc(ctx, h.pool, func(tx pgx.Tx) error {
		tag, err := tx.Exec(ctx, `INSERT INTO hand_inbox VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`,
			"packing", e.ID, time.Now().UnixMicro())
		if err != nil || tag.RowsAffected() == 0 {
			return err
		}
		_, err = tx.Exec(ctx, `INSERT INTO hand_job VALUES ($1, $2) ON CONFLICT (order_id) DO UPDATE SET n = excluded.n`,
			e.Subject, data.N)
		return err
	})
}

// all is one statement, and with it one round trip, for all messages.
func (h byHand) all(ctx context.Context, events []eventbus.Event) error {
	ids, orders, numbers := make([]string, len(events)), make([]string, len(events)), make([]int64, len(events))
	for i, e := range events {
		var data payload
		if err := json.Unmarshal(e.Data, &data); err != nil {
			return err
		}
		ids[i], orders[i], numbers[i] = e.ID, e.Subject, int64(data.N)
	}
	_, err := h.pool.Exec(ctx, `WITH fresh AS (
			INSERT INTO hand_inbox SELECT $1, id, $2 FROM unnest($3::text[]) AS id ON CONFLICT DO NOTHING RETURNING id)
		INSERT INTO hand_job SELECT order_id, n FROM unnest($3::text[], $4::text[], $5::bigint[]) AS e (id, order_id, n)
			WHERE id IN (SELECT id FROM fresh)
		ON CONFLICT (order_id) DO UPDATE SET n = excluded.n`,
		"packing", time.Now().UnixMicro(), ids, orders, numbers)
	return err
}
