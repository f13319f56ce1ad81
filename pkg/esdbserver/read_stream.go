package esdbserver

import (
	"context"
	"math"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"

	"orderflow/pkg/esdbserver/internal/eventlog"
)

// firstPageOfOriginal is how many revisions the original server looks at before it says that a stream begins later.
const firstPageOfOriginal = 32

// readStream sends the visible events of a stream and ends. A stream that does not exist, or was deleted, is one message
// saying so; a tombstoned one is an error.
func (r *reader) readStream(ctx context.Context) error {
	from := r.from.at
	switch r.from.kind {
	case fromStart:
		from = 0
	case fromEnd:
		from = math.MaxInt64
	case fromPoint:
	}
	first := true
	for left := r.count; left > 0; {
		page, err := r.log.ReadStream(ctx, r.stream, from, r.backwards, left)
		switch {
		case err != nil:
			return err
		case page.Stream.Tombstoned():
			return streamDeleted(r.stream)
		case first && !page.Stream.Found():
			return r.send(&streams.ReadResp{Content: &streams.ReadResp_StreamNotFound_{StreamNotFound: &streams.ReadResp_StreamNotFound{
				StreamIdentifier: &shared.StreamIdentifier{StreamName: []byte(r.stream)},
			}}})
		}
		if first {
			if err := r.tellFirst(page); err != nil {
				return err
			}
			first = false
		}
		for _, e := range page.Events {
			if err := r.deliver(ctx, e); err != nil {
				return err
			}
		}
		left -= int64(len(page.Events))
		if !page.More || left == 0 {
			return r.tellLast(page.Stream)
		}
		from = page.Next
	}
	return nil
}

// tellFirst says where a stream begins to those who asked, when they began to read well before that.
func (r *reader) tellFirst(page eventlog.Page) error {
	if !r.tellsEnds || r.backwards || len(page.Events) == 0 {
		return nil
	}
	first, from := page.Events[0].Revision, int64(0)
	if r.from.kind == fromPoint {
		from = r.from.at
	}
	if first-from < min(r.count, firstPageOfOriginal) {
		return nil
	}
	return r.send(&streams.ReadResp{Content: &streams.ReadResp_FirstStreamPosition{FirstStreamPosition: uint64(first)}})
}

// tellLast says where a stream ends to those who asked.
func (r *reader) tellLast(stream *eventlog.Stream) error {
	if !r.tellsEnds {
		return nil
	}
	return r.send(&streams.ReadResp{Content: &streams.ReadResp_LastStreamPosition{LastStreamPosition: uint64(stream.Last)}})
}
