package capture

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"strings"
	"time"

	"github.com/jackc/pglogrepl"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// ErrRefused says that the server will not do it until a person has changed a
// setting or a permission; the text says which.
var ErrRefused = errors.New("change data capture is not possible")

// Slot is the replication slot of one table, and its publication. Safe for
// concurrent use, except that one [Stream] reads it at a time.
type Slot struct {
	pool          *pgxpool.Pool
	name          string // of the slot, one in the whole server, and of the publication
	database      string
	schema, table string
}

// Find says what the slot of a table in the current schema is called, and
// touches nothing. name is "" for a name made of database, schema and table.
func Find(ctx context.Context, pool *pgxpool.Pool, table, name string) (*Slot, error) {
	s := &Slot{pool: pool, table: table}
	if err := pool.QueryRow(ctx, `SELECT current_database(), current_schema()`).Scan(&s.database, &s.schema); err != nil {
		return nil, fmt.Errorf("ask for the database of %s: %w", table, err)
	}
	s.name = cmp.Or(name, slotName(s.database, s.schema, s.table))
	if strings.Trim(s.name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" || len(s.name) > 63 {
		return nil, fmt.Errorf("%w: %q cannot name a replication slot: lower-case letters, digits and _, 63 at most", ErrRefused, s.name)
	}
	return s, nil
}

// slotName fits what the server allows (lower-case letters, digits and _, 63
// bytes); a hash keeps names apart that would read the same.
func slotName(database, schema, table string) string {
	readable := strings.Map(func(r rune) rune {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			return r
		}
		return '_'
	}, strings.ToLower(database+"_"+schema+"_"+table))
	hash := fnv.New32a()
	_, _ = fmt.Fprintf(hash, "%q %q %q", database, schema, table)
	return fmt.Sprintf("of_%.50s_%08x", readable, hash.Sum32())
}

// Name is what the slot and the publication are called.
func (s *Slot) Name() string { return s.name }

// State is what the server says about a slot.
type State struct {
	Exists bool
	// Lost says that the slot can never be read again: the server has removed
	// log that it needed (max_slot_wal_keep_size), or invalidated it otherwise.
	Lost bool
	// PID is the server process that sends the slot's changes to somebody; 0
	// when nobody reads it.
	PID int32
	// Kept is how many bytes of log the server keeps because of the slot.
	Kept int64
	// Unlimited says that the server would keep any amount.
	Unlimited bool
}

// Look asks for the state of the slot. Any role may.
func (s *Slot) Look(ctx context.Context) (State, error) {
	var state State
	var plugin, database *string
	err := s.pool.QueryRow(ctx, `SELECT plugin, database, COALESCE(wal_status, '') = 'lost', COALESCE(active_pid, 0),
			COALESCE(pg_wal_lsn_diff(pg_current_wal_insert_lsn(), restart_lsn), 0)::bigint,
			current_setting('max_slot_wal_keep_size') = '-1'
		FROM pg_replication_slots WHERE slot_name = $1`, s.name).
		Scan(&plugin, &database, &state.Lost, &state.PID, &state.Kept, &state.Unlimited)
	if errors.Is(err, pgx.ErrNoRows) {
		return State{}, nil
	}
	if err != nil {
		return State{}, fmt.Errorf("look at replication slot %s: %w", s.name, err)
	}
	if plugin == nil || *plugin != "pgoutput" || database == nil || *database != s.database {
		return State{}, fmt.Errorf("%w: replication slot %s is there, and is not one of pgoutput for the database %s", ErrRefused, s.name, s.database)
	}
	state.Exists = true
	return state, nil
}

// Check returns [ErrRefused] when the server is not set up for logical
// replication.
func (s *Slot) Check(ctx context.Context) error {
	var level string
	if err := s.pool.QueryRow(ctx, `SHOW wal_level`).Scan(&level); err != nil {
		return fmt.Errorf("ask for wal_level: %w", err)
	}
	if level != "logical" {
		return fmt.Errorf("%w: it needs wal_level = logical, the server has %s; "+
			"ALTER SYSTEM SET wal_level = 'logical', restart the server", ErrRefused, level)
	}
	return nil
}

// Make makes the publication and the slot, a lost one anew. Every transaction
// that commits after Make has returned is delivered by the slot; what
// committed before is visible to every snapshot taken after Make has returned.
//
// Making a slot waits for all transactions that are running in the whole
// server, and so takes as long as the longest of them.
func (s *Slot) Make(ctx context.Context) error {
	if err := s.Check(ctx); err != nil {
		return err
	}
	if err := s.make(ctx); err != nil {
		if refusal := s.refusal(err); refusal != nil {
			return refusal
		}
		return fmt.Errorf("make replication slot %s: %w", s.name, err)
	}
	return nil
}

func (s *Slot) make(ctx context.Context) error {
	// A slot is made after its publication: the plugin looks the publication up
	// as it was when a change was written.
	if err := s.Drop(ctx); err != nil {
		return err
	}
	if _, err := s.pool.Exec(ctx, `CREATE PUBLICATION `+s.name+` FOR TABLE `+
		pgx.Identifier{s.schema, s.table}.Sanitize()+` WITH (publish = 'insert')`); err != nil { //nolint:misspell // the library's spelling
		return err
	}
	if _, err := s.pool.Exec(ctx, `SELECT pg_create_logical_replication_slot($1, 'pgoutput')`, s.name); err != nil {
		return err
	}
	// The slot's position is one in the log. A transaction is in the log a
	// moment before others see it; those that are in that moment are waited for.
	var next string
	if err := s.pool.QueryRow(ctx, `SELECT pg_snapshot_xmax(pg_current_snapshot())::text`).Scan(&next); err != nil {
		return err
	}
	for {
		var ended bool
		err := s.pool.QueryRow(ctx, `SELECT pg_snapshot_xmin(pg_current_snapshot()) >= $1::text::xid8`, next).Scan(&ended)
		if err != nil || ended {
			return err
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
}

// refusal explains errors that waiting will not mend.
func (s *Slot) refusal(err error) error {
	var pgErr *pgconn.PgError
	if errors.As(err, &pgErr) && pgErr.Code == "42501" { // insufficient_privilege
		return fmt.Errorf("%w: %s; the role needs REPLICATION, must own the table %s.%s and may CREATE in the database %s",
			ErrRefused, pgErr.Message, s.schema, s.table, s.database)
	}
	return nil
}

// Drop removes the slot, whoever reads it, and the publication. There being
// none is no error.
func (s *Slot) Drop(ctx context.Context) error {
	if err := s.Free(ctx); err != nil {
		return err
	}
	_, err := s.pool.Exec(ctx, `SELECT pg_drop_replication_slot(slot_name) FROM pg_replication_slots WHERE slot_name = $1`, s.name)
	if err != nil {
		return fmt.Errorf("drop replication slot %s: %w", s.name, err)
	}
	if _, err := s.pool.Exec(ctx, `DROP PUBLICATION IF EXISTS `+s.name); err != nil {
		return fmt.Errorf("drop publication %s: %w", s.name, err)
	}
	return nil
}

// Free ends the connection of whoever reads the slot, and waits until it is
// free: the one of a process that was killed, or that has lost the network, is
// noticed by the server only after wal_sender_timeout.
func (s *Slot) Free(ctx context.Context) error {
	for {
		state, err := s.Look(ctx)
		if err != nil || state.PID == 0 {
			return err
		}
		if _, err := s.pool.Exec(ctx, `SELECT pg_terminate_backend($1)`, state.PID); err != nil {
			return fmt.Errorf("free replication slot %s: %w", s.name, err)
		}
		if err := pause(ctx, 20*time.Millisecond); err != nil {
			return fmt.Errorf("free replication slot %s: %w", s.name, err)
		}
	}
}

// Position is a place in the server's log.
type Position = pglogrepl.LSN

// Now is a position that is not before any commit that is visible.
func (s *Slot) Now(ctx context.Context) (Position, error) {
	var now Position
	if err := s.pool.QueryRow(ctx, `SELECT pg_current_wal_insert_lsn()::text`).Scan(&now); err != nil {
		return 0, fmt.Errorf("ask for the end of the log: %w", err)
	}
	return now, nil
}

// Unfinished counts the transactions among xids that other sessions do not see
// yet: delivered, but not through with their commit.
func (s *Slot) Unfinished(ctx context.Context, xids []uint32) (int, error) {
	ids := make([]string, len(xids))
	for i, xid := range xids {
		ids[i] = fmt.Sprint(xid)
	}
	var n int
	// A transaction lets go of the lock on its own number after it became visible.
	err := s.pool.QueryRow(ctx, `SELECT count(*) FROM pg_locks WHERE locktype = 'transactionid' AND mode = 'ExclusiveLock'
		AND granted AND transactionid = ANY($1::text[]::xid[])`, ids).Scan(&n)
	if err != nil {
		return 0, fmt.Errorf("ask for running transactions: %w", err)
	}
	return n, nil
}

func pause(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// IsStale reports whether err says that a slot can no longer be read, now or
// ever: it was lost or dropped, or what it publishes was.
func IsStale(err error) bool {
	var pgErr *pgconn.PgError
	if !errors.As(err, &pgErr) {
		return false
	}
	switch pgErr.Code {
	case "42704", // undefined_object: the slot, or the publication, is not there
		"55000": // object_not_in_prerequisite_state: invalidated
		return true
	}
	return false
}
