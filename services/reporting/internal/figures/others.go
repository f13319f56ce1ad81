package figures

import (
	"context"

	"orderflow/pkg/inbox"
	"orderflow/pkg/sqldb"
)

// What follows takes events by the batch: one statement writes the rows of all
// of them. A batch has a customer, or a product, at most once, as a statement
// with ON CONFLICT needs it.

// noteCreated notes when customers came.
func noteCreated(_ context.Context, tx sqldb.Tx, batch []inbox.Item[happened]) error {
	args := make([]any, 0, len(batch)*4)
	for _, it := range batch {
		args = append(args, it.Event.Subject, sqldb.Micros(it.Event.Time), 0, it.Event.Sequence)
	}
	noteCustomers(tx, args)
	return nil
}

// noteDeactivated notes when customers left.
func noteDeactivated(_ context.Context, tx sqldb.Tx, batch []inbox.Item[happened]) error {
	args := make([]any, 0, len(batch)*4)
	for _, it := range batch {
		args = append(args, it.Event.Subject, 0, sqldb.Micros(it.Event.Time), it.Event.Sequence)
	}
	noteCustomers(tx, args)
	return nil
}

// noteForgotten notes how far the story of customers goes. They count as before:
// figures tell of nobody. What the inbox has parked of them does, and goes.
func noteForgotten(in *inbox.Inbox, tx sqldb.Tx, batch []inbox.Item[happened]) {
	args := make([]any, 0, len(batch)*4)
	for _, it := range batch {
		in.Erase(tx, it.Event.Subject)
		args = append(args, it.Event.Subject, 0, 0, it.Event.Sequence)
	}
	noteCustomers(tx, args)
}

// noteCustomers adds to the rows of customers; 0 is what an event does not tell.
func noteCustomers(tx sqldb.Tx, args []any) {
	sqldb.QueueRows(tx, `INSERT INTO customer (customer_id, created_at, deactivated_at, last_sequence)`, 4, args,
		`ON CONFLICT (customer_id) DO UPDATE SET
			created_at = CASE WHEN customer.created_at = 0 THEN excluded.created_at ELSE customer.created_at END,
			deactivated_at = CASE WHEN customer.deactivated_at = 0 THEN excluded.deactivated_at ELSE customer.deactivated_at END,
			last_sequence = CASE WHEN excluded.last_sequence > customer.last_sequence
				THEN excluded.last_sequence ELSE customer.last_sequence END`)
}

// notePrices notes the prices of products, unless later ones are known.
func notePrices(_ context.Context, tx sqldb.Tx, batch []inbox.Item[price]) error {
	args := make([]any, 0, len(batch)*5)
	for _, it := range batch {
		to := it.Data.NewPrice
		args = append(args, it.Event.Subject, to.Amount, to.Currency, sqldb.Micros(it.Event.Time), it.Event.Sequence)
	}
	sqldb.QueueRows(tx, `INSERT INTO price (sku, amount, currency, changed_at, last_sequence)`, 5, args,
		`ON CONFLICT (sku) DO UPDATE SET amount = excluded.amount, currency = excluded.currency,
			changed_at = excluded.changed_at, last_sequence = excluded.last_sequence
		WHERE price.last_sequence < excluded.last_sequence`)
	return nil
}
