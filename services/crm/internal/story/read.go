package story

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"orderflow/pkg/sqldb"
	"orderflow/services/crm/internal/letters"
)

// ErrUnknown says that nobody has registered under that id, as far as is known
// here.
var ErrUnknown = errors.New("unknown customer")

// newest is how many orders and mails a customer's story shows.
const newest = 100

// Customer is a customer's story as clients see it.
type Customer struct {
	CustomerID string  `json:"customerId"`
	Name       string  `json:"name" doc:"of one who is forgotten: forgotten"`
	Email      string  `json:"email" doc:"empty of one who is forgotten"`
	Status     string  `json:"status" enum:"active,deactivated,forgotten"`
	Orders     []Order `json:"orders" doc:"the newest 100"`
	Mails      []Mail  `json:"mails" doc:"the newest 100"`
}

// Order is an order in a customer's story.
type Order struct {
	OrderID  string        `json:"orderId"`
	Status   string        `json:"status" enum:"placed,packed,dispatched,cancelled"`
	Total    letters.Money `json:"total"`
	PlacedAt time.Time     `json:"placedAt"`
}

// Customer returns a customer's story as of one moment, or [ErrUnknown].
func (s *Store) Customer(ctx context.Context, customerID string) (c Customer, err error) {
	err = s.db.View(ctx, func(tx sqldb.Tx) error {
		var deactivatedAt, forgottenAt int64
		c = Customer{CustomerID: customerID, Status: "active"}
		err := tx.QueryRow(ctx, `SELECT name, email, deactivated_at, forgotten_at FROM customer WHERE customer_id = $1 AND registered_at > 0`,
			customerID).Scan(&c.Name, &c.Email, &deactivatedAt, &forgottenAt)
		if errors.Is(err, sqldb.ErrNoRows) {
			return ErrUnknown
		}
		if err != nil {
			return err
		}
		if deactivatedAt > 0 {
			c.Status = "deactivated"
		}
		if forgottenAt > 0 {
			c.Status, c.Name = forgotten, forgotten
		}
		// An order is shown once it is known that it was placed.
		rows, err := tx.Query(ctx, `SELECT order_id, packed_at, dispatched_at, cancelled_at, total_amount, total_currency, placed_at
			FROM customer_order WHERE customer_id = $1 AND placed_at > 0 ORDER BY placed_at DESC, order_id DESC LIMIT $2`,
			customerID, newest)
		if err != nil {
			return err
		}
		if c.Orders, err = sqldb.Collect(rows, scanOrder); err != nil {
			return err
		}
		c.Mails, err = mails(ctx, tx, `m.customer_id = $4`, top(), newest, customerID)
		return err
	})
	if err != nil {
		return c, fmt.Errorf("customer %s: %w", customerID, err)
	}
	return c, nil
}

func scanOrder(row sqldb.Row) (o Order, err error) {
	var packedAt, dispatchedAt, cancelledAt, placedAt int64
	err = row.Scan(&o.OrderID, &packedAt, &dispatchedAt, &cancelledAt, &o.Total.Amount, &o.Total.Currency, &placedAt)
	o.Status, o.PlacedAt = statusOf(packedAt, dispatchedAt, cancelledAt), sqldb.Time(placedAt)
	return o, err
}

// place is where a mail stands in a list.
type place struct {
	writtenAt int64
	mailID    string
}

// top is above the newest mail.
func top() place { return place{writtenAt: math.MaxInt64} }

// Mails returns up to limit mails below a place, newest first; an empty orderID
// means those of all orders.
func (s *Store) Mails(ctx context.Context, orderID string, below place, limit int) ([]Mail, error) {
	if orderID == "" {
		return mails(ctx, s.db, `1 = 1`, below, limit)
	}
	return mails(ctx, s.db, `m.order_id = $4`, below, limit, orderID)
}

// mails reads a list of mails. condition is ours, never a client's.
func mails(ctx context.Context, q sqldb.Querier, condition string, below place, limit int, args ...any) ([]Mail, error) {
	rows, err := q.Query(ctx, `SELECT m.mail_id, m.order_id, m.kind,
			CASE WHEN m.recipient <> '' THEN m.recipient ELSE COALESCE(c.email, '') END,
			CASE WHEN m.status = 'queued' AND c.forgotten_at > 0 THEN 'failed' ELSE m.status END, m.written_at
		FROM mail m LEFT JOIN customer c ON c.customer_id = m.customer_id
		WHERE `+condition+` AND (m.written_at, m.mail_id) < ($1, $2)
		ORDER BY m.written_at DESC, m.mail_id DESC LIMIT $3`, append([]any{below.writtenAt, below.mailID, limit}, args...)...)
	if err != nil {
		return nil, fmt.Errorf("list mails: %w", err)
	}
	list, err := sqldb.Collect(rows, func(row sqldb.Row) (m Mail, err error) {
		var writtenAt int64
		err = row.Scan(&m.MailID, &m.OrderID, &m.Kind, &m.To, &m.Status, &writtenAt)
		m.Subject, m.At = letters.Subject(m.Kind, m.OrderID), sqldb.Time(writtenAt)
		return m, err
	})
	if err != nil {
		return nil, fmt.Errorf("list mails: %w", err)
	}
	return list, nil
}
