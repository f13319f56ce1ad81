package viewers

import (
	"context"
	"time"
)

// Every returns a source that takes a step again and again. The pause between
// two steps is the short one after a change, and grows to the long one while
// nothing changes. The step reports whether something changed.
func Every(short, long time.Duration, step func(ctx context.Context, emit func(any) bool) bool) Source {
	return func(ctx context.Context, emit func(any) bool) {
		pause := short
		timer := time.NewTimer(0)
		defer timer.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-timer.C:
			}
			// A step cut short by the end of the viewing has seen nothing true.
			changed := step(ctx, func(state any) bool { return ctx.Err() == nil && emit(state) })
			pause = min(pause*5/4, long)
			if changed {
				pause = short
			}
			timer.Reset(pause)
		}
	}
}
