package sqldb

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// postgresTx is a transaction that keeps statements back until a result is
// needed, so that they share a round trip: BEGIN goes with the first statement,
// what was queued with the next one, and COMMIT with what is queued then.
//
// In such a pipeline the server stops at the first statement that fails, the
// COMMIT included, so no error gets lost on the way.
type postgresTx struct {
	conn   *pgxpool.Conn
	within patience
	queued *pgx.Batch // not sent yet; the first one holds BEGIN
	tx     pgx.Tx     // nil until BEGIN was sent
	broken error      // why statements that were queued had no effect
	after  []func()
}

func newPostgresTx(conn *pgxpool.Conn, within patience, options pgx.TxOptions) *postgresTx {
	tx := &postgresTx{conn: conn, within: within, queued: &pgx.Batch{}}
	tx.queued.BeginTx(options)
	return tx
}

func (tx *postgresTx) AfterCommit(fn func()) { tx.after = append(tx.after, fn) }

func (tx *postgresTx) Queue(query string, args ...any) { tx.queued.Queue(query, args...) }

func (tx *postgresTx) Query(ctx context.Context, query string, args ...any) (Rows, error) {
	bounded := tx.within.bound(ctx)
	if tx.queued.Len() == 0 {
		rows, err := tx.tx.Query(bounded, query, args...)
		return pgRowsOf(rows, err, bounded)
	}
	tx.queued.Queue(query, args...)
	results, err := tx.send(bounded)
	if err != nil {
		bounded.end()
		return nil, bounded.explain(err)
	}
	rows, err := results.Query()
	if err != nil {
		err = bounded.explain(tx.finish(results, err))
		bounded.end()
		return nil, err
	}
	return &pgBatchRows{pgRows: pgRows{rows, bounded}, tx: tx, results: results}, nil
}

func (tx *postgresTx) QueryRow(ctx context.Context, query string, args ...any) Row {
	rows, err := tx.Query(ctx, query, args...)
	return pgFirst{rows, err}
}

func (tx *postgresTx) Exec(ctx context.Context, query string, args ...any) (int64, error) {
	bounded := tx.within.bound(ctx)
	defer bounded.end()
	if tx.queued.Len() == 0 {
		tag, err := tx.tx.Exec(bounded, query, args...)
		return tag.RowsAffected(), bounded.explain(err)
	}
	tx.queued.Queue(query, args...)
	results, err := tx.send(bounded)
	if err != nil {
		return 0, bounded.explain(err)
	}
	tag, err := results.Exec()
	return tag.RowsAffected(), bounded.explain(tx.finish(results, err))
}

// send sends what is queued and reads the results of all but the last
// statement. After a failure it sends nothing any more: the BEGIN may have been
// among what never left, and then the server would commit each batch by itself.
func (tx *postgresTx) send(ctx context.Context) (pgx.BatchResults, error) {
	if tx.broken != nil {
		return nil, fmt.Errorf("after a statement failed: %w", tx.broken)
	}
	batch := tx.queued
	tx.queued = &pgx.Batch{}
	results := tx.conn.SendBatch(ctx, batch)
	if tx.tx == nil {
		tx.tx = results.Tx()
	}
	for range batch.Len() - 1 {
		if _, err := results.Exec(); err != nil {
			return nil, tx.finish(results, err)
		}
	}
	return results, nil
}

// finish ends the reading of results. An error is kept: a caller who ignores it
// must not commit the rest.
func (tx *postgresTx) finish(results pgx.BatchResults, err error) error {
	if closed := results.Close(); err == nil {
		err = closed
	}
	if err != nil && tx.broken == nil {
		tx.broken = err
	}
	return err
}

// commit makes the transaction durable. One in which nothing happened has
// nothing to say to the server.
func (tx *postgresTx) commit(ctx context.Context) error {
	switch {
	case tx.broken != nil:
		return fmt.Errorf("commit after a statement failed: %w", tx.broken)
	case tx.tx == nil && tx.queued.Len() == 1:
		return nil
	}
	bounded := tx.within.bound(ctx)
	defer bounded.end()
	if tx.queued.Len() == 0 {
		return bounded.explain(tx.tx.Commit(bounded))
	}
	tx.queued.Queue("commit")
	results, err := tx.send(bounded)
	if err != nil {
		return bounded.explain(err)
	}
	tag, err := results.Exec()
	if err = tx.finish(results, err); err == nil && tag.String() == "ROLLBACK" {
		err = pgx.ErrTxCommitRollback // a statement failed before, and its error was ignored
	}
	return bounded.explain(err)
}

// rollback leaves a connection that cannot roll back to the pool, which throws
// it away.
func (tx *postgresTx) rollback(ctx context.Context) {
	if tx.tx == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), pingTimeout)
	defer cancel()
	_ = tx.tx.Rollback(ctx)
}

// pgBatchRows are the rows of the last statement of a pipeline.
type pgBatchRows struct {
	pgRows
	tx      *postgresTx
	results pgx.BatchResults
	err     error
}

func (r *pgBatchRows) Next() bool {
	if r.pgRows.Next() {
		return true
	}
	r.Close() // the results end with the rows
	return false
}

func (r *pgBatchRows) Err() error {
	if err := r.pgRows.Err(); err != nil {
		return err
	}
	return r.bounded.explain(r.err)
}

func (r *pgBatchRows) Close() {
	r.Rows.Close()
	if r.results != nil {
		r.err = r.tx.finish(r.results, r.Rows.Err())
		r.results = nil
	}
	r.bounded.end()
}

// pgRows are rows that were asked for with patience.
type pgRows struct {
	pgx.Rows
	bounded *bounded
}

func pgRowsOf(rows pgx.Rows, err error, within *bounded) (Rows, error) {
	if err != nil {
		err = within.explain(err)
		within.end()
		return nil, err
	}
	return pgRows{rows, within}, nil
}

func (r pgRows) Err() error { return r.bounded.explain(r.Rows.Err()) }

func (r pgRows) Close() {
	r.Rows.Close()
	r.bounded.end()
}

// pgFirst is the first of the rows.
type pgFirst struct {
	rows Rows
	err  error
}

func (r pgFirst) Scan(dest ...any) error {
	if r.err != nil {
		return r.err
	}
	defer r.rows.Close()
	if !r.rows.Next() {
		if err := r.rows.Err(); err != nil {
			return err
		}
		return ErrNoRows
	}
	if err := r.rows.Scan(dest...); err != nil {
		return err
	}
	r.rows.Close()
	return r.rows.Err()
}
