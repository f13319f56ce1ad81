package eventlog

import (
	"context"

	"github.com/google/uuid"
)

// Delete hides all events of stream (soft deletion): its metadata is replaced by one that truncates everything. Revisions
// are not given again: a stream that is written to later continues behind. It returns the position of the metadata event.
func (l *Log) Delete(ctx context.Context, stream string, expected Expected) (int64, error) {
	return l.remove(ctx, stream, expected, func(b *batch, h *head) (refusal, failure error) {
		if h.last < 0 && !h.meta.exists {
			return &WrongExpectedVersionError{Stream: stream, Expected: expected, Current: -1}, nil
		}
		return nil, b.setMetadata(h, softDeletion(), ticks(b.log.options.Now()))
	})
}

// Tombstone ends stream for good: nothing can be read from it or written to it any more. It returns the position of the
// tombstone, which is an event of the stream like others.
func (l *Log) Tombstone(ctx context.Context, stream string, expected Expected) (int64, error) {
	return l.remove(ctx, stream, expected, func(b *batch, h *head) (refusal, failure error) {
		tombstone := Proposed{ID: uuid.New(), Type: TypeTombstone}
		return nil, b.insert(h, TombstoneRevision, ticks(b.log.options.Now()), tombstone)
	})
}

func (l *Log) remove(ctx context.Context, stream string, expected Expected, do func(*batch, *head) (refusal, failure error)) (int64, error) {
	if IsMetastream(stream) {
		return 0, ErrMetastream
	}
	answer, err := l.submit(ctx, 0, func(b *batch) (answer Appended, refusal, failure error) {
		h, failure := b.head(stream)
		if failure != nil {
			return answer, nil, failure
		}
		// Checked like an append of an event with a fresh id, which no history can match.
		if _, _, refusal, failure = b.decide(h, expected, nil); refusal != nil || failure != nil {
			return answer, refusal, failure
		}
		refusal, failure = do(b, h)
		return Appended{Current: h.last, Position: b.lastPosition()}, refusal, failure
	})
	return answer.Position, err
}
