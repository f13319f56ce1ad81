package stored

import (
	"time"

	"orderflow/pkg/es"
	"orderflow/services/order/internal/domain"
)

// cancelledV1 by packing was two things at once: that packing cannot fulfil the
// order, which is a fact, and that the order is therefore cancelled.
type cancelledV1 struct {
	CustomerID  string    `json:"customerId"`
	Reason      string    `json:"reason"`
	By          string    `json:"by"`
	CancelledAt time.Time `json:"cancelledAt"`
}

type rejectedV1 struct {
	Reason     string    `json:"reason"`
	RejectedAt time.Time `json:"rejectedAt"`
}

// cancelledV2 is the consequence alone, whoever brought it about. Behind a
// rejection it repeats the reason, so that it can be read without the other.
type cancelledV2 struct {
	CustomerID  string    `json:"customerId"`
	Reason      string    `json:"reason"`
	By          string    `json:"by"`
	CancelledAt time.Time `json:"cancelledAt"`
}

func upcastCancelledV1(old cancelledV1) ([]es.Encoded, error) {
	cancelled, err := encoded(Cancelled, 2, cancelledV2(old))
	if err != nil || old.By != string(domain.ByPacking) {
		return []es.Encoded{cancelled}, err
	}
	rejected, err := encoded(Rejected, 1, rejectedV1{old.Reason, old.CancelledAt})
	return []es.Encoded{rejected, cancelled}, err
}
