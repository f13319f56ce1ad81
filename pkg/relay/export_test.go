package relay

import "time"

// Stuck is what [Relay.Ready] would say of the pipeline after so much time.
func (r *Relay) Stuck(after time.Duration) error {
	return r.progress.now().stuck(time.Now().Add(after))
}

// TrustSubscriptionsFor shortens how long a subscription may bring nothing.
func (r *Relay) TrustSubscriptionsFor(d time.Duration) {
	r.patience = patience{look: d / 4, quiet: d}
}
