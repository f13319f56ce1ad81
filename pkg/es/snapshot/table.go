package snapshot

import (
	"context"
	"embed"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"

	"github.com/google/uuid"

	"orderflow/pkg/es"
	"orderflow/pkg/sqldb"
)

//go:embed migrations
var migrations embed.FS

// Migrate makes the table es_snapshot.
func Migrate(ctx context.Context, db sqldb.DB) error {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return err
	}
	return sqldb.Migrate(ctx, db, "es_snapshot", files)
}

// Table is an [es.SnapshotStore]. Safe for concurrent use.
type Table struct{ db sqldb.DB }

var _ es.SnapshotStore = (*Table)(nil)

// New returns the snapshots in db, in which [Migrate] has made the table.
func New(db sqldb.DB) *Table { return &Table{db} }

// Load returns the snapshot of a stream, [es.ErrNoSnapshot], or an error that
// wraps [es.ErrDamagedSnapshot].
func (t *Table) Load(ctx context.Context, stream string) (es.Snapshot, error) {
	s := es.Snapshot{Stream: stream}
	var eventID string
	var sum int64
	err := t.db.QueryRow(ctx, `SELECT revision, event_id, version, state, seen, checksum FROM es_snapshot WHERE stream = $1`, stream).
		Scan(&s.Revision, &eventID, &s.Version, &s.State, &s.Seen, &sum)
	if errors.Is(err, sqldb.ErrNoRows) {
		return es.Snapshot{}, es.ErrNoSnapshot
	}
	if err != nil {
		return es.Snapshot{}, fmt.Errorf("snapshot of %s: %w", stream, err)
	}
	if s.EventID, err = uuid.Parse(eventID); err != nil {
		return es.Snapshot{}, fmt.Errorf("snapshot of %s: %w: %w", stream, es.ErrDamagedSnapshot, err)
	}
	if checksum(s) != sum {
		return es.Snapshot{}, fmt.Errorf("snapshot of %s: %w: its checksum is another", stream, es.ErrDamagedSnapshot)
	}
	return s, nil
}

// Save keeps s in the place of whatever there is of the stream.
func (t *Table) Save(ctx context.Context, s es.Snapshot) error {
	err := t.db.Update(ctx, func(tx sqldb.Tx) error {
		_, err := tx.Exec(ctx, `INSERT INTO es_snapshot (stream, revision, event_id, version, state, seen, checksum)
			VALUES ($1, $2, $3, $4, $5, $6, $7)
			ON CONFLICT (stream) DO UPDATE SET revision = excluded.revision, event_id = excluded.event_id, version = excluded.version,
				state = excluded.state, seen = excluded.seen, checksum = excluded.checksum`,
			s.Stream, int64(s.Revision), s.EventID.String(), s.Version, s.State, s.Seen, checksum(s))
		return err
	})
	if err != nil {
		return fmt.Errorf("save the snapshot of %s: %w", s.Stream, err)
	}
	return nil
}

// checksum is the CRC-32C of a snapshot, the lengths of its parts included.
func checksum(s es.Snapshot) int64 {
	sum := crc32.New(crc32.MakeTable(crc32.Castagnoli))
	for _, part := range [][]byte{
		[]byte(s.Stream), s.EventID[:], s.State, s.Seen,
		binary.BigEndian.AppendUint64(nil, uint64(s.Revision)), //nolint:gosec // as bits
		binary.BigEndian.AppendUint64(nil, uint64(s.Version)),  //nolint:gosec // as bits
	} {
		_, _ = sum.Write(binary.BigEndian.AppendUint64(nil, uint64(len(part)))) // never fails
		_, _ = sum.Write(part)
	}
	return int64(sum.Sum32())
}
