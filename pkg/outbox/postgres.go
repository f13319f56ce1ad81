package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"orderflow/pkg/sqldb"
)

// channel carries the name of the schema whose outbox got rows: channels belong
// to the database, and several services may share one.
const channel = "orderflow_outbox"

type postgres struct{}

// in takes one argument for any list, so that there is one prepared statement.
func (postgres) in(place int, list []int64) (condition string, args []any) {
	return fmt.Sprintf("= ANY($%d::bigint[])", place), []any{list}
}

func (postgres) mark(at int64, seqs []int64) (statement string, args []any) {
	return `UPDATE outbox SET sent_at = $1, announced = COALESCE(outbox.announced, before.last + place.n)
		FROM unnest($2::bigint[]) WITH ORDINALITY AS place (seq, n),
			(SELECT COALESCE(max(announced), 0) AS last FROM outbox WHERE announced IS NOT NULL) AS before
		WHERE outbox.seq = place.seq`, []any{at, seqs}
}

func (postgres) suspect(db sqldb.DB) {
	if pool, ok := sqldb.Pool(db); ok {
		pool.Reset()
	}
}

// notify runs outside the transactions of the service: NOTIFY in one of them
// would make all commits of the database queue for one lock.
func (postgres) notify(ctx context.Context, db sqldb.DB) error {
	return db.Update(ctx, func(tx sqldb.Tx) error {
		_, err := tx.Exec(ctx, `SELECT pg_notify($1, current_schema())`, channel)
		return err
	})
}

func (p postgres) listen(ctx context.Context, o *Outbox, wake func()) {
	pool, ok := sqldb.Pool(o.db)
	if !ok {
		return
	}
	for {
		// A connection of its own: one of the pool's would be missing there.
		err := p.listenOnce(ctx, o, pool.Config().ConnConfig, wake)
		if ctx.Err() != nil {
			return
		}
		o.log.DebugContext(ctx, "outbox polls until it can listen again", "error", err)
		if pause(ctx, 2*time.Second, nil) != nil {
			return
		}
	}
}

// listenOnce listens on a connection of its own until that fails.
func (postgres) listenOnce(ctx context.Context, o *Outbox, config *pgx.ConnConfig, wake func()) (err error) {
	patience := o.options.StatementTimeout
	connecting, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	conn, err := pgx.ConnectConfig(connecting, config)
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		err = errors.Join(err, conn.Close(closing))
	}()
	var schema string
	if err := conn.QueryRow(connecting, `SELECT current_schema()`).Scan(&schema); err != nil {
		return err
	}
	if _, err := conn.Exec(connecting, `LISTEN `+channel); err != nil {
		return err
	}
	wake() // for what was committed before
	for {
		waiting, cancel := context.WithTimeout(ctx, patience)
		notification, err := conn.WaitForNotification(waiting)
		cancel()
		switch {
		case err == nil && notification.Payload == schema:
			wake()
		case err == nil:
		case ctx.Err() == nil && waiting.Err() != nil:
			// Nothing to hear, or nobody there: ask.
			if err := pingWithin(ctx, conn, patience); err != nil {
				return err
			}
		default:
			return err
		}
	}
}

func pingWithin(ctx context.Context, conn *pgx.Conn, patience time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	return conn.Ping(ctx)
}
