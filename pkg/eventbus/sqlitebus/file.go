package sqlitebus

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"orderflow/pkg/eventbus/internal/handover"
)

// maxReaders bounds the connections that read batches at the same moment.
const maxReaders = 4

// busyTimeout is how long SQLite itself waits for another process, in
// milliseconds.
const busyTimeout = "5000"

// openFile opens the database, creating it for this user alone: it holds
// whatever the events hold.
func openFile(path string) (*sql.DB, error) {
	absolute, err := filepath.Abs(path)
	if err != nil {
		return nil, fmt.Errorf("path %q: %w", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(absolute), 0o700); err != nil {
		return nil, fmt.Errorf("make directory: %w", err)
	}
	created, err := os.OpenFile(absolute, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("create file: %w", err)
	}
	if err := created.Close(); err != nil {
		return nil, fmt.Errorf("create file: %w", err)
	}
	options := url.Values{
		"_txlock": {"immediate"},
		"_pragma": {
			"busy_timeout(" + busyTimeout + ")",
			"journal_mode(WAL)",
			"synchronous(FULL)",
			"foreign_keys(ON)",
			"wal_autocheckpoint(2000)",
			"journal_size_limit(67108864)",
			"cache_size(-8000)",
			"temp_store(MEMORY)",
		},
	}
	dsn := url.URL{Scheme: "file", Path: filepath.ToSlash(absolute), RawQuery: options.Encode()}
	db, err := sql.Open("sqlite", dsn.String())
	if err != nil {
		return nil, fmt.Errorf("open database: %w", err)
	}
	db.SetMaxOpenConns(maxReaders + 2) // and the writer, and the watcher
	db.SetMaxIdleConns(maxReaders + 2)
	return db, nil
}

// inTransaction runs fn between BEGIN IMMEDIATE and COMMIT. Other processes
// hold the write lock for a millisecond or so; asking again in small steps gets
// it with less delay than SQLite's own busy handler, and ends with ctx.
func inTransaction(ctx context.Context, conn *sql.Conn, fn func() error) error {
	if err := begin(ctx, conn); err != nil {
		return fmt.Errorf("begin: %w", err)
	}
	err := fn()
	if err == nil {
		if _, err = conn.ExecContext(context.Background(), `COMMIT`); err == nil {
			return nil
		}
		err = fmt.Errorf("commit: %w", err)
	}
	// After some errors SQLite has rolled back by itself; then this one fails,
	// which changes nothing about the first error.
	if _, rollback := conn.ExecContext(context.Background(), `ROLLBACK`); rollback != nil && !isSQLiteError(rollback) {
		err = errors.Join(err, fmt.Errorf("roll back: %w", rollback))
	}
	return err
}

func begin(ctx context.Context, conn *sql.Conn) error {
	for {
		_, err := conn.ExecContext(context.Background(), `BEGIN IMMEDIATE`)
		if err == nil || !isBusy(err) {
			return err
		}
		pause := 200*time.Microsecond + time.Duration(rand.Int64N(int64(800*time.Microsecond)))
		if !handover.Pause(ctx, pause) {
			return fmt.Errorf("%w (%w)", context.Cause(ctx), err)
		}
	}
}

// each runs fn for every row. It closes the rows, and cannot forget an error
// that ended them early, which would make half a result look whole.
func each(rows *sql.Rows, fn func() error) (err error) {
	defer func() { err = errors.Join(err, rows.Close()) }()
	for rows.Next() {
		if err := fn(); err != nil {
			return err
		}
	}
	return rows.Err()
}

func isSQLiteError(err error) bool {
	var problem *sqlite.Error
	return errors.As(err, &problem)
}

// isBusy says that another process holds the lock: nothing is wrong.
func isBusy(err error) bool {
	var problem *sqlite.Error
	if !errors.As(err, &problem) {
		return false
	}
	switch problem.Code() & 0xff {
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED:
		return true
	}
	return false
}
