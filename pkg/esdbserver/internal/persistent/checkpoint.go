package persistent

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"time"

	"github.com/google/uuid"

	"orderflow/pkg/esdbserver/internal/eventlog"
)

const typeCheckpoint = "$SubscriptionCheckpoint"

// checkpoint is what is durably known to be done.
type checkpoint struct {
	exists  bool // whether there is one in the log
	written mark
	at      time.Time // when it was written, or the group was started
	wanted  bool
}

// behind is how many events are done that the checkpoint does not cover.
func (c *checkpoint) behind(done mark) int64 { return done.count - c.written.count }

// due reports whether it is time for a new checkpoint.
func (c *checkpoint) due(now time.Time, done mark, settings Settings) bool {
	if now.Before(c.at) {
		c.at = now // the clock was set back
	}
	return now.Sub(c.at) >= settings.CheckpointAfter && c.behind(done) >= int64(max(settings.MinCheckpointCount, 1))
}

// save appends the checkpoint. Like the original server it lets its stream keep two, and says so before the first.
func (c *checkpoint) save(ctx context.Context, log *eventlog.Log, d Definition, place int64) error {
	stream := d.checkpointStream()
	if !c.exists {
		if err := keepTwo(ctx, log, stream); err != nil {
			return err
		}
	}
	data, err := json.Marshal(d.PlaceText(place))
	if err != nil {
		return err
	}
	if _, err := log.Append(ctx, stream, eventlog.Any, []eventlog.Proposed{{ID: uuid.New(), Type: typeCheckpoint, JSON: true, Data: data}}); err != nil {
		return fmt.Errorf("write a checkpoint: %w", err)
	}
	return nil
}

// keepTwo has a stream show its last two events only.
func keepTwo(ctx context.Context, log *eventlog.Log, stream string) error {
	_, err := log.Append(ctx, eventlog.Metastream(stream), eventlog.Any, []eventlog.Proposed{{
		ID: uuid.New(), Type: eventlog.TypeMetadata, JSON: true, Data: []byte(`{"$maxCount":2}`),
	}})
	if err != nil {
		return fmt.Errorf("limit %s: %w", stream, err)
	}
	return nil
}

// loadCheckpoint reads the place up to which a group was done. What somebody else wrote into the stream is passed over.
func loadCheckpoint(ctx context.Context, log *eventlog.Log, d Definition) (place int64, found bool, err error) {
	page, err := log.ReadStream(ctx, d.checkpointStream(), math.MaxInt64, true, math.MaxInt32)
	if err != nil {
		return 0, false, fmt.Errorf("read the checkpoint of %s: %w", d.Key(), err)
	}
	for _, e := range page.Events {
		var text string
		if e.Type != typeCheckpoint || json.Unmarshal(e.Data, &text) != nil {
			continue
		}
		if place, err := d.parsePlace(text); err == nil && place >= 0 {
			return place, true, nil
		}
	}
	return 0, false, nil
}
