package relay

import (
	"time"

	"orderflow/pkg/sqldb"
)

// LeaseTTL is what a relay of the product uses.
const LeaseTTL = leaseTTL

// SetLeaseTTL shortens the wait of a test for a lease that runs out.
func (r *Relay) SetLeaseTTL(d time.Duration) {
	r.lease = sqldb.NewLease(r.config.DB, "relay-"+r.config.Name, "test", d)
}
