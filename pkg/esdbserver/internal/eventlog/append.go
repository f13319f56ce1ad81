package eventlog

import (
	"context"
	"fmt"
)

// Append writes events to the end of stream if it is in the state that expected asks for, and returns when they are
// durable. They are contiguous, in the stream and among all events. Appending the same events again, by id, succeeds
// without writing where the protocol can tell. It fails with StreamDeletedError or WrongExpectedVersionError.
func (l *Log) Append(ctx context.Context, stream string, expected Expected, events []Proposed) (Appended, error) {
	return l.submit(ctx, payload(events), func(b *batch) (Appended, error, error) {
		return b.append(stream, expected, events)
	})
}

// Pending is an append that was begun and perhaps not yet committed.
type Pending struct{ w *write }

// Begin is the first half of Append: it queues the append and returns. Appends that one goroutine begins are applied in
// that order. The append is given up when ctx ends before its turn; there is no other limit on the time it takes.
func (l *Log) Begin(ctx context.Context, stream string, expected Expected, events []Proposed) (*Pending, error) {
	w, err := l.enqueue(ctx, payload(events), func(b *batch) (Appended, error, error) {
		return b.append(stream, expected, events)
	})
	if err != nil {
		return nil, err
	}
	return &Pending{w}, nil
}

// Wait is the second half: it returns what Append would. An append that was not answered before the context of Begin
// ended may still be committed.
func (p *Pending) Wait() (Appended, error) { return p.w.await(nil) }

func payload(events []Proposed) (size int) {
	for _, e := range events {
		size += len(e.Data) + len(e.Metadata)
	}
	return size
}

func (b *batch) append(stream string, expected Expected, events []Proposed) (answer Appended, refusal, failure error) {
	h, failure := b.head(stream)
	if failure != nil {
		return answer, nil, failure
	}
	var original *head // the stream whose metadata is written
	if IsMetastream(stream) {
		if original, failure = b.head(originalOf(stream)); failure != nil {
			return answer, nil, failure
		}
		if original.last == TombstoneRevision {
			return answer, &StreamDeletedError{stream}, nil
		}
	}
	answer, repeated, refusal, failure := b.decide(h, expected, events)
	if repeated || refusal != nil || failure != nil {
		return answer, refusal, failure
	}
	now := ticks(b.log.options.Now())
	first := h.last + 1
	for _, e := range events {
		if failure := b.insert(h, h.last+1, now, e); failure != nil {
			return answer, nil, failure
		}
	}
	answer = Appended{Current: h.last, Position: b.lastPosition()}
	if h.meta.softDeleted() {
		failure = b.undelete(h, first, now)
	}
	if original != nil && len(events) > 0 {
		failure = b.metadataWritten(original, events[len(events)-1], now)
	}
	return answer, nil, failure
}

// undelete lets a soft-deleted stream be read again from revision first on.
func (b *batch) undelete(h *head, first, now int64) error {
	isJSON, data, err := lastMetadata(b.c, h.name)
	if err != nil {
		return fmt.Errorf("undelete %s: %w", h.name, err)
	}
	event, ok, err := undeletion(isJSON, data, first)
	if err != nil || !ok {
		return err
	}
	return b.setMetadata(h, event, now)
}

// setMetadata writes the server's own metadata event for a stream.
func (b *batch) setMetadata(h *head, event Proposed, now int64) error {
	meta, err := b.head(Metastream(h.name))
	if err != nil {
		return err
	}
	if err := b.insert(meta, meta.last+1, now, event); err != nil {
		return err
	}
	h.meta = parseSettings(event.JSON, event.Data)
	return nil
}

// metadataWritten takes note of metadata that a client appended. New metadata for a soft-deleted stream brings the stream
// back, to continue behind what was deleted.
func (b *batch) metadataWritten(original *head, event Proposed, now int64) error {
	if IsMetastream(original.name) {
		return nil // the settings of a metadata stream are fixed
	}
	wasDeleted := original.meta.softDeleted()
	original.meta = parseSettings(event.JSON, event.Data)
	if !wasDeleted {
		return nil
	}
	return b.undelete(original, original.last+1, now)
}
