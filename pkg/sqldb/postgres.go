package sqldb

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/jackc/pgx/v5/stdlib"
)

// maxTries bounds how often Update runs a transaction that the server aborts in
// favour of another one.
const maxTries = 10

// poolSize is the most connections of a process unless the URL says otherwise
// (pool_max_conns). An inbox keeps one while its handlers want others.
const poolSize = 8

// answerWithin is how long the server may take for one statement unless the URL
// says otherwise (answer_within=5m).
const answerWithin = time.Minute

const answerParameter = "answer_within"

// sessionSettings make the server give up a session whose client vanished
// without a word, and with it the locks that others wait for. A transaction
// that idles is one: handlers in it are bounded by less.
const sessionSettings = `SET tcp_keepalives_idle = 30; SET tcp_keepalives_interval = 10; SET tcp_keepalives_count = 3;
	SET idle_in_transaction_session_timeout = '10min'`

type postgresDB struct {
	pool   *pgxpool.Pool
	name   string // user@host:port/database, for errors
	within patience
}

func connectPostgres(rawURL string) (DB, error) {
	config, err := pgxpool.ParseConfig(rawURL)
	if err != nil {
		// The driver's text repeats the URL, and only tries to hide the secret.
		return nil, fmt.Errorf("database url %q is not a PostgreSQL url", Redact(rawURL))
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = pingTimeout
	}
	if !strings.Contains(rawURL, "pool_max_conns") {
		config.MaxConns = poolSize
	}
	c := config.ConnConfig
	within := answerWithin
	if text, ok := c.RuntimeParams[answerParameter]; ok {
		delete(c.RuntimeParams, answerParameter)
		if within, err = time.ParseDuration(text); err != nil || within <= 0 {
			return nil, fmt.Errorf("database url: %s=%q is no duration like 90s", answerParameter, text)
		}
	}
	if _, ok := c.RuntimeParams["idle_in_transaction_session_timeout"]; !ok {
		config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
			_, err := conn.PgConn().Exec(ctx, sessionSettings).ReadAll()
			return err
		}
	}
	c.BuildContextWatcherHandler = patience(within).watch
	name := fmt.Sprintf("%s@%s:%d/%s", c.User, c.Host, c.Port, c.Database)
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		return nil, fmt.Errorf("postgres %s: %s", name, oneLine(err))
	}
	return &postgresDB{pool: pool, name: name, within: patience(within)}, nil
}

// Pool returns the pgx pool behind db, for what only PostgreSQL can do
// (LISTEN). ok is false when db is SQLite.
func Pool(db DB) (pool *pgxpool.Pool, ok bool) {
	if p, isPostgres := Unwrap(db).(*postgresDB); isPostgres {
		return p.pool, true
	}
	return nil, false
}

func (db *postgresDB) Dialect() Dialect { return Postgres }

func (db *postgresDB) Close() { db.pool.Close() }

func (db *postgresDB) Ping(ctx context.Context) error {
	if err := db.pool.Ping(ctx); err != nil {
		return fmt.Errorf("postgres %s: %w", db.name, explainPostgres(err))
	}
	return nil
}

// explainPostgres puts the reason for which a server cannot be used in one line.
func explainPostgres(err error) error {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) {
		switch pgErr.Code {
		case "3D000":
			return unavailable{text: "this database does not exist: create it, or correct the url", err: err}
		case "28P01", "28000":
			return unavailable{text: "the server refuses this user and password", err: err}
		}
		return unavailable{text: pgErr.Message, err: err}
	}
	var netErr interface{ Timeout() bool }
	if errors.As(err, &netErr) && netErr.Timeout() {
		return unavailable{text: "no answer in time", err: err}
	}
	var connErr *pgconn.ConnectError
	if errors.As(err, &connErr) {
		cause := connErr.Unwrap()
		for next := errors.Unwrap(cause); next != nil; next = errors.Unwrap(cause) {
			cause = next
		}
		return unavailable{text: "no connection: " + oneLine(cause), err: err}
	}
	return unavailable{text: oneLine(err), err: err}
}

func (db *postgresDB) Query(ctx context.Context, query string, args ...any) (Rows, error) {
	bounded := db.within.bound(ctx)
	rows, err := db.pool.Query(bounded, query, args...)
	return pgRowsOf(rows, err, bounded)
}

func (db *postgresDB) QueryRow(ctx context.Context, query string, args ...any) Row {
	rows, err := db.Query(ctx, query, args...)
	return pgFirst{rows, err}
}

func (db *postgresDB) Update(ctx context.Context, fn func(Tx) error) error {
	for try := 1; ; try++ {
		err := db.run(ctx, pgx.TxOptions{}, fn)
		if err == nil || try == maxTries || !worthRepeating(err) {
			return err
		}
		// The other transaction needs a moment; jitter parts the two for good.
		if sleep(ctx, time.Duration(rand.Int64N(int64(try)*int64(10*time.Millisecond)))) != nil {
			return err
		}
	}
}

func (db *postgresDB) View(ctx context.Context, fn func(Tx) error) error {
	return db.run(ctx, pgx.TxOptions{IsoLevel: pgx.RepeatableRead, AccessMode: pgx.ReadOnly}, fn)
}

func (db *postgresDB) run(ctx context.Context, options pgx.TxOptions, fn func(Tx) error) error {
	conn, err := db.acquire(ctx)
	if err != nil {
		return err
	}
	defer conn.Release()
	tx := newPostgresTx(conn, db.within, options)
	done := false
	defer func() {
		if !done { // an error, a panic, or the end of the goroutine
			tx.rollback(ctx)
		}
	}()
	if err := fn(tx); err != nil {
		return err
	}
	if err := tx.commit(ctx); err != nil {
		return err
	}
	done = true
	for _, after := range tx.after {
		after()
	}
	return nil
}

func (db *postgresDB) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	bounded := db.within.bound(ctx)
	defer bounded.end()
	conn, err := db.pool.Acquire(bounded)
	return conn, bounded.explain(err)
}

// worthRepeating reports errors after which the same transaction can succeed:
// it lost against another one, or its plans are older than the schema.
func worthRepeating(err error) bool {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		return false
	}
	switch pgErr.Code {
	case "40001", "40P01": // serialization failure, deadlock
		return true
	case "0A000": // the driver drops its cached plan when this is the reason
		return pgErr.Message == "cached plan must not change result type"
	}
	return false
}

// Scrub vacuums what belongs to this role. Tables that somebody has locked wait
// for autovacuum.
func (db *postgresDB) Scrub(ctx context.Context) error {
	if _, err := db.pool.Exec(ctx, `VACUUM (SKIP_LOCKED)`); err != nil {
		return fmt.Errorf("scrub %s: %w", db.name, err)
	}
	return nil
}

func (db *postgresDB) standard() *sql.DB { return stdlib.OpenDBFromPool(db.pool) }
