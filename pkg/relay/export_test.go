package relay

import (
	"time"

	"orderflow/pkg/es"
)

// Stuck is what [Relay.Ready] would say after so much time.
func (r *Relay) Stuck(after time.Duration) error { return r.readyAt(time.Now().Add(after)) }

// TrustSubscriptionsFor shortens how long a subscription may bring nothing.
func (r *Relay) TrustSubscriptionsFor(d time.Duration) {
	r.patience = patience{look: d / 4, quiet: d}
}

// SeesEnd is what looking at the end of the log leads to.
func (r *Relay) SeesEnd(end es.Position) { r.progress.looked(end, nil) }
