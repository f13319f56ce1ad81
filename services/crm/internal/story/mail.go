package story

import (
	"time"

	"github.com/google/uuid"

	"orderflow/pkg/cause"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/sqldb"
	"orderflow/services/crm/internal/letters"
)

// Mail is a mail as clients see it.
type Mail struct {
	MailID  string       `json:"mailId"`
	OrderID string       `json:"orderId"`
	Kind    letters.Kind `json:"kind" enum:"order-confirmation,order-packed,order-dispatched,order-cancelled,order-packing-delayed,order-dispatch-delayed"`
	To      string       `json:"to" doc:"empty while the customer's address is not known"`
	Subject string       `json:"subject"`
	Status  string       `json:"status" enum:"kept,queued,sent,failed" doc:"kept: there is no mail server, or it is about history that was told again"`
	At      time.Time    `json:"at" doc:"when it was written; the trace of the order says when it went out"`
}

// The states of a mail:
//
//	kept                        there is no mail server, or it is about history
//	queued ──▶ sent             it took the mail
//	     └───▶ failed           it never will, did not often enough, or the customer is forgotten
const (
	kept   = "kept"
	queued = "queued"
	sent   = "sent"
	failed = "failed"
)

// mailID is the id of the one mail of a kind about an order.
func mailID(orderID string, kind letters.Kind) string {
	return cause.Derive(uuid.NameSpaceURL, "/orderflow/crm/mails/"+orderID+"/"+string(kind)).String()
}

// write adds the mail of a kind to the table, unless it is there. What is told
// again is no news: a mail about it is kept, and nobody gets it years later. One
// to somebody who is forgotten is given up at once.
func (s *Store) write(tx sqldb.Tx, e eventbus.Event, kind letters.Kind, customerID string, now int64) {
	status, settledAt := kept, now
	if s.sending && !e.Replayed {
		status, settledAt = queued, 0
	}
	tx.Queue(`INSERT INTO mail (mail_id, order_id, customer_id, kind, status, recipient, attempts, due_at, reason,
			correlation_id, causation_id, written_at, settled_at)
		VALUES ($1, $2, $3, $4, $5, '', 0, $6, '', $7, $8, $6, $9) ON CONFLICT (mail_id) DO NOTHING`,
		mailID(e.Subject, kind), e.Subject, customerID, string(kind), status, now, e.CorrelationID, e.ID, settledAt)
	tx.Queue(`UPDATE mail SET status = 'failed', reason = '`+forgotten+`', settled_at = $2 WHERE mail_id = $1 AND status = 'queued'
		AND EXISTS (SELECT 1 FROM customer WHERE customer_id = $3 AND forgotten_at > 0)`, mailID(e.Subject, kind), now, customerID)
	if s.sending {
		tx.AfterCommit(s.ring)
	}
}
