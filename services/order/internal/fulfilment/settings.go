package fulfilment

import (
	"fmt"
	"time"

	"orderflow/pkg/service"
)

// Settings are how long the process of an order waits. Those of an order are
// fixed step by step: a change counts for the steps that follow.
type Settings struct {
	// PackWithin is how long after it was placed an order counts as delayed when
	// it is not packed, and CancelUnpackedAfter how long after it was placed it is
	// cancelled. When the delay was noticed late, because nothing ran, the latter
	// is as much later.
	PackWithin          time.Duration `env:"ORDER_PACK_WITHIN" envDefault:"4h"`
	CancelUnpackedAfter time.Duration `env:"ORDER_CANCEL_UNPACKED_AFTER" envDefault:"72h"`
	// DispatchWithin and CancelUndispatchedAfter are the same for dispatching,
	// counted from when it was packed.
	DispatchWithin          time.Duration `env:"ORDER_DISPATCH_WITHIN" envDefault:"24h"`
	CancelUndispatchedAfter time.Duration `env:"ORDER_CANCEL_UNDISPATCHED_AFTER" envDefault:"168h"`
	// DeadlinesRest is for how long after a start, or after the bus was away, no
	// deadline counts: what the others did meanwhile is heard first.
	DeadlinesRest time.Duration `env:"ORDER_DEADLINES_REST" envDefault:"1m"`
}

// Load reads the settings. Its error is one line that names the variables.
func Load(host service.Host) (Settings, error) {
	var s Settings
	if err := host.Load(&s); err != nil {
		return s, fmt.Errorf("order: %w", err)
	}
	for _, pair := range []struct {
		within, after      string
		delayed, cancelled time.Duration
	}{
		{"ORDER_PACK_WITHIN", "ORDER_CANCEL_UNPACKED_AFTER", s.PackWithin, s.CancelUnpackedAfter},
		{"ORDER_DISPATCH_WITHIN", "ORDER_CANCEL_UNDISPATCHED_AFTER", s.DispatchWithin, s.CancelUndispatchedAfter},
	} {
		if pair.delayed <= 0 {
			return s, fmt.Errorf("order: %w: %s: %s is no time to wait", service.ErrSettings, pair.within, pair.delayed)
		}
		if pair.cancelled <= pair.delayed {
			return s, fmt.Errorf("order: %w: %s: %s is not after %s (%s)",
				service.ErrSettings, pair.after, pair.cancelled, pair.within, pair.delayed)
		}
	}
	if s.DeadlinesRest < 0 {
		return s, fmt.Errorf("order: %w: ORDER_DEADLINES_REST: %s is negative", service.ErrSettings, s.DeadlinesRest)
	}
	return s, nil
}
