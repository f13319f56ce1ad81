package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"orderflow/pkg/es"
	"orderflow/pkg/eventbus"
)

// History is what a relay has announced, in the order of the log, for package
// replay: the log, translated again. Translating is pure, so these are the same
// events under the same ids. A position is one of the log.
type History struct{ r *Relay }

// History returns the history of this relay, from the beginning of the log.
func (r *Relay) History() History { return History{r} }

// End returns where the log ends now, once everything up to there is announced:
// until then it waits, for as long as ctx allows, whichever process announces.
// So what is committed behind it is announced after this call.
func (h History) End(ctx context.Context) (int64, error) {
	end, err := h.r.config.Store.End(ctx)
	if err != nil {
		return 0, fmt.Errorf("end of the history: %w", err)
	}
	at, err := h.r.checkpoint(ctx)
	if err != nil {
		return 0, fmt.Errorf("end of the history: %w", err)
	}
	// The checkpoint may stand still before events that announce nothing.
	last, err := h.last(ctx, at, end)
	if err != nil {
		return 0, fmt.Errorf("end of the history: %w", err)
	}
	for at < last {
		timer := time.NewTimer(50 * time.Millisecond)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return 0, fmt.Errorf("end of the history: the relay is at %d, and there are events up to %d: %w", at, last, ctx.Err())
		}
		if at, err = h.r.checkpoint(ctx); err != nil {
			return 0, fmt.Errorf("end of the history: %w", err)
		}
	}
	return int64(end), nil //nolint:gosec // below 2^63
}

// last is the position of the last event behind after, up to end, that is
// announced, or cannot be; or after.
func (h History) last(ctx context.Context, after, end es.Position) (es.Position, error) {
	if after >= end {
		return after, nil
	}
	last := after
	err := h.r.config.Store.Follow(ctx, after, h.r.config.Prefixes, func(ctx context.Context, batch es.Batch) error {
		announced, failed, err := h.r.translateAll(ctx, batch.Events)
		if err != nil {
			return err
		}
		for _, a := range announced {
			if a.of.Position <= end {
				last = max(last, a.of.Position)
			}
		}
		for _, p := range failed {
			if at := es.Position(p.Position); at <= end { //nolint:gosec // positions are not negative
				last = max(last, at)
			}
		}
		if batch.Position >= end {
			return errAtEnd
		}
		return nil
	})
	if !errors.Is(err, errAtEnd) {
		return 0, err
	}
	return last, nil
}

var errAtEnd = errors.New("at the end of what was asked for")

// Read hands what announces the events behind position after, up to end, to
// handle: what announces one event of the log at a time, or nothing, where a
// piece of the log ends. position is where that is. An event that cannot be
// announced is left out, as it was left out then, and told to the log; an error
// of Translate that is temporary ([Config.Temporary]) and the first error of
// handle are returned.
func (h History) Read(
	ctx context.Context, after, end int64, handle func(ctx context.Context, events []eventbus.Event, position int64) error,
) error {
	if after >= end {
		return nil
	}
	from, to := es.Position(after), es.Position(end) //nolint:gosec // positions are below 2^63
	err := h.r.config.Store.Follow(ctx, from, h.r.config.Prefixes, func(ctx context.Context, batch es.Batch) error {
		for len(batch.Events) > 0 && batch.Events[len(batch.Events)-1].Position > to {
			batch.Events = batch.Events[:len(batch.Events)-1]
		}
		announcements, err := h.again(ctx, batch.Events)
		if err != nil {
			return err
		}
		at := from
		for _, a := range announcements {
			at = a.of.Position
			if err := handle(ctx, a.events, int64(at)); err != nil { //nolint:gosec // below 2^63
				return err
			}
		}
		if from = min(batch.Position, to); at < from {
			if err := handle(ctx, nil, int64(from)); err != nil { //nolint:gosec // below 2^63
				return err
			}
		}
		if batch.Position >= to {
			return errAtEnd
		}
		return nil
	})
	if errors.Is(err, errAtEnd) {
		return nil
	}
	return err
}

// again translates a piece of the log once more.
func (h History) again(ctx context.Context, batch []es.Recorded) ([]announcement, error) {
	announcements, failed, err := h.r.translateAll(ctx, batch)
	if err != nil {
		return nil, err
	}
	for _, p := range failed {
		h.r.config.Log.WarnContext(ctx, "an event that cannot be announced is missing in the history that is told again",
			"id", p.ID, "stream", p.Stream, "revision", p.Revision, "type", p.Type, "error", p.Reason)
	}
	return announcements, nil
}
