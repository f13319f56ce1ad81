package sqlitebus

import (
	"context"
	"database/sql"
	"fmt"

	"orderflow/pkg/eventbus"
)

// migrations make the tables of each version from those of the one before. The
// version of a file, kept in its user_version, is how many have been applied.
var migrations = [...][]string{
	// 1. The numbers of messages come from the counter in bus and are never used
	// twice: an acknowledgement that arrives late can therefore never hit another
	// message. A claim reads delivery in the order of its key.
	{
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
	},
	// 2. Consumers that were lost with a message in their hands are counted, and
	// every queue has one for its dead letters.
	{
		`ALTER TABLE queue ADD COLUMN batch INTEGER NOT NULL DEFAULT 0 /* the owner's batch size; 0 is unknown */`,
		`ALTER TABLE queue ADD COLUMN alone INTEGER NOT NULL DEFAULT 0 /* messages up to here are handed out one at a time */`,
		`ALTER TABLE delivery ADD COLUMN lost INTEGER NOT NULL DEFAULT 0 /* consumers that were lost while they had it alone */`,
		`INSERT INTO queue (name) SELECT name || '` + eventbus.DeadSuffix + `' FROM queue
			WHERE name NOT LIKE '%` + eventbus.DeadSuffix + `' ORDER BY id ON CONFLICT DO NOTHING`,
	},
	// 3. History is told again to one queue, and says so.
	{
		`ALTER TABLE message ADD COLUMN replayed INTEGER NOT NULL DEFAULT 0`,
	},
}

// prepareSchema creates the tables if the file is new, brings those of an older
// version up to date, and refuses a file that a newer version of this program
// wrote.
func prepareSchema(ctx context.Context, conn *sql.Conn) error {
	return inTransaction(ctx, conn, func() error {
		var version int
		if err := conn.QueryRowContext(ctx, `PRAGMA user_version`).Scan(&version); err != nil {
			return fmt.Errorf("read schema version: %w", err)
		}
		if version < 0 || version > len(migrations) {
			return fmt.Errorf("schema version is %d, this program knows %d", version, len(migrations))
		}
		for _, statements := range migrations[version:] {
			version++
			for _, statement := range statements {
				if _, err := conn.ExecContext(ctx, statement); err != nil {
					return fmt.Errorf("make schema version %d: %w", version, err)
				}
			}
			if _, err := conn.ExecContext(ctx, fmt.Sprintf(`PRAGMA user_version = %d`, version)); err != nil {
				return fmt.Errorf("write schema version: %w", err)
			}
		}
		return nil
	})
}
