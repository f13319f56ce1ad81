package relay

import (
	"context"
	"fmt"
	"slices"

	"orderflow/pkg/es"
	"orderflow/pkg/position"
)

// newestAmong is how many events Newest reads before it reads the whole stream.
const newestAmong = 16

// Newest is the position of the last event of a stream that is announced, which
// is what the outcome of a command on it rests on: what Translate makes nothing
// of is never waited for, nor what it refuses, which is parked. Of several events
// that announce it together it is the first; versions of one fact share a name.
// A stream without announcements is [es.ErrNotFound].
func (r *Relay) Newest(ctx context.Context, stream string) (position.Position, error) {
	last := func() ([]es.Recorded, error) { return r.config.Store.ReadLast(ctx, stream, newestAmong) }
	all := func() ([]es.Recorded, error) { return r.config.Store.ReadStream(ctx, stream, 0) }
	for _, read := range []func() ([]es.Recorded, error){last, all} {
		events, err := read()
		if err != nil {
			return position.Position{}, err
		}
		for _, recorded := range slices.Backward(events) {
			announced, err := r.translate(ctx, recorded)
			if err != nil && r.isTemporary(ctx, err) {
				return position.Position{}, fmt.Errorf("announcement of %s: %w", stream, err)
			}
			if err == nil && len(announced) > 0 {
				return position.Of(announced[0]), nil
			}
		}
	}
	return position.Position{}, fmt.Errorf("announcement of %s: %w", stream, es.ErrNotFound)
}
