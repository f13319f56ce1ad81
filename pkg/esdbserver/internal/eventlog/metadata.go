package eventlog

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"
)

// truncatedAll is the $tb of a soft-deleted stream: no event is visible.
const truncatedAll = math.MaxInt64

// settings are the parts of a stream's metadata that the server acts upon. The zero value is that of a stream without.
type settings struct {
	exists         bool // a metadata event was written, whatever is in it
	truncateBefore int64
	maxCount       int64
	maxAge         time.Duration
}

func (s settings) softDeleted() bool { return s.truncateBefore == truncatedAll }

// lowestVisible is the first revision that a read of a stream whose last revision is last shows, age aside.
func (s settings) lowestVisible(last int64) int64 {
	lowest := s.truncateBefore
	if s.maxCount > 0 && last != TombstoneRevision {
		lowest = max(lowest, last-s.maxCount+1)
	}
	return lowest
}

// metastreamSettings are the settings of every metadata stream: its last event is all that counts.
func metastreamSettings() settings { return settings{maxCount: 1} }

// parseSettings reads the last event of a metadata stream. What is not declared as JSON, or is none, sets nothing. Names
// that differ from the server's in case alone are the user's.
func parseSettings(isJSON bool, data []byte) settings {
	s := settings{exists: true}
	if !isJSON {
		return s
	}
	var members map[string]json.RawMessage // the fields of a struct would match in any case
	if json.Unmarshal(data, &members) != nil {
		return s
	}
	var maxCount, maxAge, truncateBefore int64
	for name, number := range map[string]*int64{"$maxCount": &maxCount, "$maxAge": &maxAge, "$tb": &truncateBefore} {
		if text, ok := members[name]; ok && json.Unmarshal(text, number) != nil {
			return s
		}
	}
	s.maxCount, s.truncateBefore = max(maxCount, 0), max(truncateBefore, 0)
	s.maxAge = time.Duration(min(max(maxAge, 0), math.MaxInt64/int64(time.Second))) * time.Second
	return s
}

// SoftDeletes reports whether an event is metadata that hides all events of a stream.
func (e *Event) SoftDeletes() bool {
	return e.Type == TypeMetadata && IsMetastream(e.Stream) && parseSettings(e.JSON, e.Data).softDeleted()
}

// loadSettings reads the metadata of stream as it now is.
func loadSettings(c *conn, stream string) (settings, error) {
	if IsMetastream(stream) {
		return metastreamSettings(), nil
	}
	isJSON, data, err := lastMetadata(c, stream)
	if errors.Is(err, errNoRow) {
		return settings{}, nil
	}
	if err != nil {
		return settings{}, fmt.Errorf("metadata of %s: %w", stream, err)
	}
	return parseSettings(isJSON, data), nil
}

// lastMetadata is the metadata event that counts; there is none when the error is errNoRow.
func lastMetadata(c *conn, stream string) (isJSON bool, data []byte, err error) {
	name := Metastream(stream)
	events, _, err := readRows(c, name, sqlLastOf, 1, []byte(name))
	if err != nil {
		return false, nil, err
	}
	if len(events) == 0 {
		return false, nil, errNoRow
	}
	return events[0].JSON, events[0].Data, nil
}

// softDeletion is the metadata event that hides all events of a stream.
func softDeletion() Proposed {
	return Proposed{ID: uuid.New(), Type: TypeMetadata, JSON: true, Data: fmt.Appendf(nil, `{"$tb":%d}`, int64(truncatedAll))}
}

// undeletion is the metadata event that lets a soft-deleted stream continue: what its metadata said before, with events
// visible from revision first on. It returns false when the metadata is no JSON object, which leaves nothing to undo.
func undeletion(isJSON bool, data []byte, first int64) (Proposed, bool, error) {
	fields := map[string]json.RawMessage{}
	if !isJSON || json.Unmarshal(data, &fields) != nil || fields == nil {
		return Proposed{}, false, nil //nolint:nilerr // metadata that is no object was never acted upon
	}
	fields["$tb"] = fmt.Appendf(nil, "%d", first)
	merged, err := json.Marshal(fields)
	if err != nil {
		return Proposed{}, false, err
	}
	return Proposed{ID: uuid.New(), Type: TypeMetadata, JSON: true, Data: merged}, true, nil
}
