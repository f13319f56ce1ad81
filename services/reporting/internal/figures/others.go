package figures

import (
	"context"
	"fmt"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/sqldb"
)

// noteCustomer notes when a customer came, or left; 0 is what the event does not
// tell.
func noteCustomer(ctx context.Context, tx sqldb.Tx, e eventbus.Event, createdAt, deactivatedAt int64) error {
	_, err := tx.Exec(ctx, `INSERT INTO customer (customer_id, created_at, deactivated_at, last_sequence) VALUES ($1, $2, $3, $4)
		ON CONFLICT (customer_id) DO UPDATE SET
			created_at = CASE WHEN customer.created_at = 0 THEN excluded.created_at ELSE customer.created_at END,
			deactivated_at = CASE WHEN customer.deactivated_at = 0 THEN excluded.deactivated_at ELSE customer.deactivated_at END,
			last_sequence = CASE WHEN excluded.last_sequence > customer.last_sequence
				THEN excluded.last_sequence ELSE customer.last_sequence END`,
		e.Subject, createdAt, deactivatedAt, e.Sequence)
	if err != nil {
		return fmt.Errorf("note %s of customer %s: %w", e.Type, e.Subject, err)
	}
	return nil
}

// notePrice notes the price of a product, unless a later one is known.
func notePrice(ctx context.Context, tx sqldb.Tx, e eventbus.Event, price Money) error {
	_, err := tx.Exec(ctx, `INSERT INTO price (sku, amount, currency, changed_at, last_sequence) VALUES ($1, $2, $3, $4, $5)
		ON CONFLICT (sku) DO UPDATE SET amount = excluded.amount, currency = excluded.currency,
			changed_at = excluded.changed_at, last_sequence = excluded.last_sequence
		WHERE price.last_sequence < excluded.last_sequence`,
		e.Subject, price.Amount, price.Currency, sqldb.Micros(e.Time), e.Sequence)
	if err != nil {
		return fmt.Errorf("note %s of product %s: %w", e.Type, e.Subject, err)
	}
	return nil
}
