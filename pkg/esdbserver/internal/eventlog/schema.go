package eventlog

// applicationID marks our databases in SQLite's header ("ESLG"), so that another program's file is never written to.
const applicationID = 0x45534c47

// schemaVersion is what this program writes, kept in the low byte of SQLite's user_version. The bytes above it name the
// store: they are drawn when the file is made, so that a write-ahead log of another store is known as such.
const (
	schemaVersion  = 2
	versionMask    = 0xff
	storeNameRange = 1 << 23 // times versionMask+1 it just fits a positive number of 32 bits
)

// An event is keyed by its position, so that reading everything in order is reading the table in order. The names of
// streams are interned. A stream has no state of its own beside its events: its last revision is the largest one in the
// index, and its metadata is the last event of its metadata stream. The record of an event (see appendRecord) names the
// one before it, so that one that is missing is noticed, and carries a checksum.
const schema = `
CREATE TABLE stream (
	id   INTEGER PRIMARY KEY,
	name BLOB NOT NULL UNIQUE
) STRICT;
CREATE TABLE event (
	position  INTEGER PRIMARY KEY,
	stream_id INTEGER NOT NULL,
	revision  INTEGER NOT NULL,
	created   INTEGER NOT NULL,
	record    BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX event_revision ON event (stream_id, revision);
`

const (
	sqlBegin    = `BEGIN IMMEDIATE`
	sqlCommit   = `COMMIT`
	sqlRollback = `ROLLBACK`
	// The write-ahead log is begun anew, and never cut to nothing: an empty one beside an index that knows of more is how
	// checkWAL sees that somebody took it away.
	sqlFoldWAL = `PRAGMA wal_checkpoint(RESTART)`

	sqlInsertStream = `INSERT INTO stream (name) VALUES (?)`
	sqlInsertEvent  = `INSERT INTO event (position, stream_id, revision, created, record) VALUES (?,?,?,?,?)`

	sqlHead = `SELECT s.id, (SELECT e.revision FROM event e WHERE e.stream_id = s.id ORDER BY e.revision DESC LIMIT 1)
		FROM stream s WHERE s.name = ?`
	sqlLastOf = `SELECT ` + eventColumns + ` FROM event e WHERE e.stream_id = (SELECT id FROM stream WHERE name = ?)
		ORDER BY e.revision DESC LIMIT 1`
	sqlPositionOf   = `SELECT position FROM event WHERE stream_id = ? AND revision = ?`
	sqlLastPosition = `SELECT coalesce(max(position), 0) FROM event`
	sqlHasPosition  = `SELECT EXISTS (SELECT 1 FROM event WHERE position = ?)`

	eventColumns = `e.position, e.revision, e.created, e.record`

	sqlStreamForwards = `SELECT ` + eventColumns + ` FROM event e
		WHERE e.stream_id = ? AND e.revision BETWEEN ? AND ? AND e.created >= ? ORDER BY e.revision LIMIT ?`
	sqlStreamBackwards = `SELECT ` + eventColumns + ` FROM event e
		WHERE e.stream_id = ? AND e.revision BETWEEN ? AND ? AND e.created >= ? ORDER BY e.revision DESC LIMIT ?`
	sqlAllForwards = `SELECT ` + eventColumns + `, s.name FROM event e JOIN stream s ON s.id = e.stream_id
		WHERE e.position >= ? ORDER BY e.position LIMIT ?`
	sqlAllBackwards = `SELECT ` + eventColumns + `, s.name FROM event e JOIN stream s ON s.id = e.stream_id
		WHERE e.position < ? ORDER BY e.position DESC LIMIT ?`
)
