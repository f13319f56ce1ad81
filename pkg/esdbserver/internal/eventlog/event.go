package eventlog

import (
	"math"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/google/uuid"
)

// Event types and names that have a meaning of their own in the protocol.
const (
	// TypeMetadata is the type of the events in a metadata stream.
	TypeMetadata = "$metadata"
	// TypeTombstone is the type of the last event of a tombstoned stream.
	TypeTombstone = "$streamDeleted"
	// TypeLink is the type of an event that points to another one: its data is "<revision>@<stream>".
	TypeLink = "$>"

	metastreamPrefix = "$$"
)

// TombstoneRevision is the revision of a tombstone, larger than that of any other event.
const TombstoneRevision = math.MaxInt64

// Event is a committed event. Events are shared between readers: nobody may change one.
type Event struct {
	Position int64 // place among all events; grows strictly, with gaps
	Revision int64 // place in the stream, dense from 0; TombstoneRevision for a tombstone
	Stream   string
	ID       uuid.UUID
	Type     string
	JSON     bool  // whether Data was declared to be JSON; it is never checked
	Created  int64 // ticks of 100 ns since the Unix epoch, by the server's clock
	Data     []byte
	Metadata []byte // the user's own, opaque

	previous int64 // position of the event before it in the log, 0 for the first
}

// Proposed is an event that somebody wants to append.
type Proposed struct {
	ID       uuid.UUID
	Type     string
	JSON     bool
	Data     []byte
	Metadata []byte
}

// Size is what an event counts against the limits of an append, in bytes: its data, its metadata and its type in UTF-16,
// which is how the original server measures.
func (p Proposed) Size() int {
	units := 0
	for _, r := range p.Type {
		units += max(utf16.RuneLen(r), 1)
	}
	return len(p.Data) + len(p.Metadata) + 2*units
}

// recordOverhead stands for the fixed part of a record when positions are computed.
const recordOverhead = 64

// extent is how far an event moves the position on. Like a byte offset in a log file it depends on the event's size, so
// that nobody comes to rely on positions without gaps.
func (p Proposed) extent(stream string) int64 {
	return int64(recordOverhead + len(stream) + len(p.Type) + len(p.Data) + len(p.Metadata))
}

// ticks converts a time to the protocol's unit, 100 ns since the Unix epoch.
func ticks(t time.Time) int64 { return t.UnixNano() / 100 }

// Metastream names the stream that holds the metadata of stream.
func Metastream(stream string) string { return metastreamPrefix + stream }

// IsMetastream reports whether stream holds the metadata of another stream.
func IsMetastream(stream string) bool {
	return len(stream) > len(metastreamPrefix) && strings.HasPrefix(stream, metastreamPrefix)
}

// originalOf names the stream whose metadata the metastream holds.
func originalOf(metastream string) string { return metastream[len(metastreamPrefix):] }
