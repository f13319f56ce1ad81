package story

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"orderflow/pkg/sqldb"
	"orderflow/services/crm/internal/letters"
)

// Due is a mail that is to be sent now, with all that is known at this moment.
type Due struct {
	MailID   string
	Kind     letters.Kind
	To       string
	Attempts int
	Facts    letters.Facts
}

// Due returns up to limit queued mails whose recipient is known and whose time
// has come, longest due first.
func (s *Store) Due(ctx context.Context, now time.Time, limit int) ([]Due, error) {
	rows, err := s.db.Query(ctx, `SELECT m.mail_id, m.kind, m.attempts, c.email, c.name, o.order_id, o.placed_at, o.total_amount,
			o.total_currency, o.lines, o.packed_at, o.dispatched_at, o.carrier, o.tracking_number,
			o.cancelled_at, o.cancelled_by, o.cancel_reason, o.packing_delayed_at, o.dispatch_delayed_at
		FROM mail m JOIN customer c ON c.customer_id = m.customer_id JOIN customer_order o ON o.order_id = m.order_id
		WHERE m.status = 'queued' AND m.due_at <= $1 AND c.email <> ''
		ORDER BY m.due_at, m.mail_id LIMIT $2`, sqldb.Micros(now), limit)
	if err != nil {
		return nil, fmt.Errorf("read the queue of mails: %w", err)
	}
	due, err := sqldb.Collect(rows, scanDue)
	if err != nil {
		return nil, fmt.Errorf("read the queue of mails: %w", err)
	}
	return due, nil
}

func scanDue(row sqldb.Row) (Due, error) {
	var d Due
	var lines string
	var placedAt, packedAt, dispatchedAt, cancelledAt, packingDelayedAt, dispatchDelayedAt int64
	f := &d.Facts
	err := row.Scan(&d.MailID, &d.Kind, &d.Attempts, &d.To, &f.CustomerName, &f.OrderID, &placedAt, &f.Total.Amount,
		&f.Total.Currency, &lines, &packedAt, &dispatchedAt, &f.Carrier, &f.TrackingNumber,
		&cancelledAt, &f.CancelledBy, &f.CancelReason, &packingDelayedAt, &dispatchDelayedAt)
	if err != nil {
		return d, err
	}
	f.PlacedAt, f.PackedAt = instant(placedAt), instant(packedAt)
	f.DispatchedAt, f.CancelledAt = instant(dispatchedAt), instant(cancelledAt)
	f.PackingDelayedAt, f.DispatchDelayedAt = instant(packingDelayedAt), instant(dispatchDelayedAt)
	if err := json.Unmarshal([]byte(lines), &f.Lines); err != nil {
		return d, fmt.Errorf("lines of order %s: %w", f.OrderID, err)
	}
	return d, nil
}

// Outcome is what became of an attempt to send a mail.
type Outcome struct {
	// Sent says that the mail server took it.
	Sent bool
	// GiveUp says that it will not be tried again.
	GiveUp bool
	// Again is when to try again, if neither.
	Again time.Time
	// Reason is why it was not sent.
	Reason string
}

// Settle notes the outcome of an attempt, in a transaction that guard lets
// pass. A mail that is no longer queued stays as it is.
func (s *Store) Settle(ctx context.Context, d Due, o Outcome, guard func(context.Context, sqldb.Tx) error) error {
	now := sqldb.Micros(time.Now())
	status, recipient, settledAt, dueAt := queued, "", int64(0), int64(0)
	switch {
	case o.Sent:
		status, recipient, settledAt = sent, d.To, now
	case o.GiveUp:
		status, recipient, settledAt = failed, d.To, now
	default:
		dueAt = sqldb.Micros(o.Again)
	}
	err := s.db.Update(ctx, func(tx sqldb.Tx) error {
		if err := guard(ctx, tx); err != nil {
			return err
		}
		_, err := tx.Exec(ctx, `UPDATE mail SET status = $2, recipient = $3, attempts = attempts + 1, settled_at = $4,
				due_at = $5, reason = $6 WHERE mail_id = $1 AND status = 'queued'`,
			d.MailID, status, recipient, settledAt, dueAt, o.Reason)
		return err
	})
	if err != nil {
		return fmt.Errorf("settle mail %s: %w", d.MailID, err)
	}
	return nil
}

func instant(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return sqldb.Time(micros)
}
