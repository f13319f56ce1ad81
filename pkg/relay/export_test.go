package relay

import "time"

// Stuck is what [Relay.Ready] would say of the pipeline after so much time.
func (r *Relay) Stuck(after time.Duration) error {
	return r.progress.now().stuck(time.Now().Add(after))
}
