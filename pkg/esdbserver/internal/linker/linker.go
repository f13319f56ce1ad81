package linker

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"orderflow/pkg/esdbserver/internal/eventlog"
)

const (
	// mark names the linker's place in the log.
	mark = "system-projections"
	// pageEvents is how many events are linked at a time when they are in memory.
	pageEvents = 256
	// gatherDelay is the pause after a page that was not full: the links of what comes meanwhile share one commit.
	gatherDelay = 5 * time.Millisecond
	// retryDelay is how long to wait after a failure, that of a full disk for example.
	retryDelay = time.Second
)

// Run links events until ctx ends or the log is closed. Failures are logged and tried again: the events wait in the log.
func Run(ctx context.Context, log *eventlog.Log, logger *slog.Logger) {
	for {
		err := follow(ctx, log)
		if ctx.Err() != nil || errors.Is(err, eventlog.ErrClosed) {
			return
		}
		logger.Warn("the system projections fell behind and try again", "error", err)
		if pause(ctx, retryDelay) != nil {
			return
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	select {
	case <-time.After(d):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// follow links events from where the last run ended, until something fails.
func follow(ctx context.Context, log *eventlog.Log) error {
	stored, err := log.Mark(ctx, mark)
	if err != nil {
		return err
	}
	position := stored
	buf := make([]*eventlog.Event, 0, pageEvents)
	for {
		events, err := log.Page(ctx, position, buf)
		if err != nil {
			return err
		}
		if len(events) == 0 {
			continue
		}
		position = events[len(events)-1].Position
		derived := derive(events)
		if len(derived) == 0 {
			continue
		}
		// The mark lags behind while there is nothing to link, as among the linker's own links, or nowhere to put it, as
		// when the streams for it are tombstoned.
		if stored, err = log.AppendDerived(ctx, mark, stored, position, derived); err != nil {
			return err
		}
		if len(events) < pageEvents {
			if err := pause(ctx, gatherDelay); err != nil {
				return err
			}
		}
	}
}
