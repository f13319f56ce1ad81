package eventlog

import "math"

// Expected is what a writer expects of the stream it writes to: one of the constants below, or the revision (0 or more)
// of the stream's last event.
type Expected int64

// The numbers are those that the protocol uses in its error trailers.
const (
	// NoStream expects a stream without events.
	NoStream Expected = -1
	// Any expects nothing.
	Any Expected = -2
	// StreamExists expects a stream that has events, or at least metadata, and is not deleted.
	StreamExists Expected = -4
)

// Appended is the answer to an append.
type Appended struct {
	Current  int64 // revision of the stream's last event as far as this append is concerned, -1 when it has none
	Position int64 // position of the append's last event
}

// decide applies the protocol's table of expected revisions to a stream as it now is. It returns repeated when these very
// events were appended before, so that nothing is to be written and answer is to be given once more.
func (b *batch) decide(h *head, expected Expected, events []Proposed) (answer Appended, repeated bool, refusal, failure error) {
	if h.last == TombstoneRevision {
		return answer, false, &StreamDeletedError{h.name}, nil
	}
	wrong := &WrongExpectedVersionError{Stream: h.name, Expected: expected, Current: h.last}

	switch {
	case expected == Any || expected == StreamExists:
		if expected == StreamExists {
			if h.meta.softDeleted() {
				return answer, false, &StreamDeletedError{h.name}, nil
			}
			if h.last < 0 && !h.meta.exists {
				return answer, false, wrong, nil
			}
		}
		return b.decideByRecentIDs(h, events, wrong)

	case int64(expected) == h.last:
		return answer, false, nil, nil

	case int64(expected) > h.last:
		return answer, false, wrong, nil
	}

	// The stream is further than expected: either these events are there already, or somebody else was first.
	matched, position, failure := b.matchHistory(h, int64(expected)+1, events)
	switch {
	case failure != nil:
		return answer, false, nil, failure
	case matched > 0 && matched == len(events):
		return Appended{Current: int64(expected) + int64(matched), Position: position}, true, nil, nil
	case matched == 0 && expected == NoStream && h.meta.softDeleted():
		return answer, false, nil, nil
	}
	return answer, false, wrong, nil
}

// matchHistory counts how many of the events, by id and in order, are what the stream holds from revision first on. It
// also returns the position of the last match. History is exact: it has no time limit.
func (b *batch) matchHistory(h *head, first int64, events []Proposed) (matched int, position int64, err error) {
	if len(events) == 0 {
		return 0, 0, nil
	}
	for matched < len(events) {
		wanted := len(events) - matched
		stored, more, err := readRows(b.c, h.name, sqlStreamForwards, int64(wanted),
			h.id, first+int64(matched), int64(math.MaxInt64), int64(math.MinInt64), wanted)
		if err != nil {
			return 0, 0, err
		}
		for _, e := range stored {
			if e.ID != events[matched].ID {
				return matched, position, nil
			}
			matched, position = matched+1, e.Position
		}
		if !more {
			break
		}
	}
	return matched, position, nil
}

// decideByRecentIDs serves the writers that name no revision: all that can be compared for them is a bounded memory of
// the ids appended last.
func (b *batch) decideByRecentIDs(h *head, events []Proposed, wrong error) (answer Appended, repeated bool, refusal, failure error) {
	known := 0
	for known < len(events) {
		revision, ok := b.log.recent.get(recentID{h.id, events[known].ID})
		if !ok {
			break
		}
		answer.Current = revision
		known++
	}
	switch {
	case known == 0:
		return Appended{}, false, nil, nil
	case known < len(events):
		return Appended{}, false, wrong, nil
	}
	if err := b.c.queryRow([]any{&answer.Position}, sqlPositionOf, h.id, answer.Current); err != nil {
		return Appended{}, false, nil, err
	}
	return answer, true, nil, nil
}
