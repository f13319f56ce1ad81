package outbox

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/jackc/pgx/v5"

	"orderflow/pkg/sqldb"
)

// channel carries the name of the schema whose outbox got rows: channels belong
// to the database, and several services may share one.
const channel = "orderflow_outbox"

type postgres struct{}

// notify runs outside the transactions of the service: NOTIFY in one of them
// would make all commits of the database queue for one lock.
func (postgres) notify(ctx context.Context, db sqldb.DB) error {
	return db.Update(ctx, func(tx sqldb.Tx) error {
		_, err := tx.Exec(ctx, `SELECT pg_notify($1, current_schema())`, channel)
		return err
	})
}

func (p postgres) listen(ctx context.Context, db sqldb.DB, log *slog.Logger, wake func()) {
	pool, ok := sqldb.Pool(db)
	if !ok {
		return
	}
	for {
		// A connection of its own: one of the pool's would be missing there.
		err := p.listenOnce(ctx, pool.Config().ConnConfig, wake)
		if ctx.Err() != nil {
			return
		}
		log.DebugContext(ctx, "outbox polls until it can listen again", "error", err)
		if pause(ctx, 2*time.Second, nil) != nil {
			return
		}
	}
}

func (postgres) listenOnce(ctx context.Context, config *pgx.ConnConfig, wake func()) (err error) {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer func() {
		closing, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		err = errors.Join(err, conn.Close(closing))
	}()
	var schema string
	if err := conn.QueryRow(ctx, `SELECT current_schema()`).Scan(&schema); err != nil {
		return err
	}
	if _, err := conn.Exec(ctx, `LISTEN `+channel); err != nil {
		return err
	}
	wake() // for what was committed before
	for {
		notification, err := conn.WaitForNotification(ctx)
		if err != nil {
			return err
		}
		if notification.Payload == schema {
			wake()
		}
	}
}
