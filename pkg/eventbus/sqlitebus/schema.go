package sqlitebus

import (
	"context"
	"database/sql"
	"fmt"

	"orderflow/pkg/eventbus"
)

// schemaVersion is kept in the file's user_version.
const schemaVersion = 1

// schema of version 1. The numbers of messages come from the counter in bus and
// are never used twice: an acknowledgement that arrives late can therefore
// never hit another message. A claim reads delivery in the order of its key.
var schema = [...]string{
	`CREATE TABLE bus (
		one          INTEGER PRIMARY KEY CHECK (one = 1),
		next_message INTEGER NOT NULL,
		topology     INTEGER NOT NULL -- grows with every change of queues or bindings
	) STRICT`,
	`CREATE TABLE queue (
		id      INTEGER PRIMARY KEY AUTOINCREMENT,
		name    TEXT NOT NULL UNIQUE,
		owner   TEXT,                       -- instance that holds the lease
		turn    INTEGER NOT NULL DEFAULT 0, -- grows whenever the owner changes
		handed  INTEGER NOT NULL DEFAULT 0  -- messages up to here may have been handed out before
	) STRICT`,
	`CREATE TABLE binding (
		queue   INTEGER NOT NULL REFERENCES queue (id) ON DELETE CASCADE,
		pattern TEXT NOT NULL,
		PRIMARY KEY (queue, pattern)
	) STRICT, WITHOUT ROWID`,
	`CREATE TABLE instance (
		id      TEXT PRIMARY KEY,
		host    TEXT NOT NULL,
		pid     INTEGER NOT NULL,
		expires INTEGER NOT NULL -- microseconds since 1970
	) STRICT, WITHOUT ROWID`,
	`CREATE TABLE message (
		seq             INTEGER PRIMARY KEY,
		id              TEXT NOT NULL,
		source          TEXT NOT NULL,
		type            TEXT NOT NULL,
		subject         TEXT NOT NULL,
		time            TEXT NOT NULL, -- RFC 3339 with nanoseconds
		datacontenttype TEXT NOT NULL,
		correlationid   TEXT NOT NULL,
		causationid     TEXT NOT NULL,
		traceparent     TEXT NOT NULL,
		sequence        INTEGER NOT NULL,
		data            BLOB
	) STRICT`,
	`CREATE TABLE delivery (
		queue   INTEGER NOT NULL,
		message INTEGER NOT NULL,
		PRIMARY KEY (queue, message)
	) STRICT, WITHOUT ROWID`,
	// To see whether an acknowledged message is still wanted elsewhere.
	`CREATE INDEX delivery_by_message ON delivery (message)`,
	`INSERT INTO bus (one, next_message, topology) VALUES (1, 1, 1)`,
	`INSERT INTO queue (name) VALUES ('` + eventbus.Unrouted + `')`,
}

// prepareSchema creates the tables if the file is new, and refuses a file that
// a newer version of this program wrote.
func prepareSchema(ctx context.Context, conn *sql.Conn) error {
	return inTransaction(ctx, conn, func() error {
		var version int
		if err := conn.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err != nil {
			return fmt.Errorf("read schema version: %w", err)
		}
		switch {
		case version == schemaVersion:
			return nil
		case version != 0:
			return fmt.Errorf("schema version is %d, this program knows %d", version, schemaVersion)
		}
		for _, statement := range schema {
			if _, err := conn.ExecContext(ctx, statement); err != nil {
				return fmt.Errorf("create schema: %w", err)
			}
		}
		if _, err := conn.ExecContext(ctx, fmt.Sprintf(`PRAGMA user_version = %d`, schemaVersion)); err != nil {
			return fmt.Errorf("write schema version: %w", err)
		}
		return nil
	})
}
