package shipments

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/sqldb"
)

// noteName keeps a customer's name unless a later event has told it already.
//
// Name and address come from different events, so each has a sequence of its
// own: one for the row would let a new name throw away an address that is newer
// than the one before it, but arrives later.
func noteName(_ context.Context, tx sqldb.Tx, e eventbus.Event, customer contact) error {
	if err := subjectIsID(e); err != nil {
		return err
	}
	if customer.Name == "" {
		return inbox.Park(errors.New("a customer without a name"))
	}
	tx.Queue(`INSERT INTO customer (customer_id, name, name_sequence, address, address_sequence, changed_at)
		VALUES ($1, $2, $3, '{}', -1, $4)
		ON CONFLICT (customer_id) DO UPDATE
		SET name = excluded.name, name_sequence = excluded.name_sequence, changed_at = excluded.changed_at
		WHERE customer.name_sequence < excluded.name_sequence AND customer.forgotten_at = 0`, e.Subject, customer.Name, e.Sequence, micros(time.Now()))
	return nil
}

// noteAddress keeps a customer's address unless a later event has told it
// already.
func noteAddress(_ context.Context, tx sqldb.Tx, e eventbus.Event, customer residence) error {
	if err := subjectIsID(e); err != nil {
		return err
	}
	if customer.Address == (Address{}) {
		return inbox.Park(errors.New("a customer without an address"))
	}
	address, err := json.Marshal(customer.Address)
	if err != nil {
		return fmt.Errorf("encode the address of customer %s: %w", e.Subject, err)
	}
	tx.Queue(`INSERT INTO customer (customer_id, name, name_sequence, address, address_sequence, changed_at)
		VALUES ($1, '', -1, $2, $3, $4)
		ON CONFLICT (customer_id) DO UPDATE
		SET address = excluded.address, address_sequence = excluded.address_sequence, changed_at = excluded.changed_at
		WHERE customer.address_sequence < excluded.address_sequence AND customer.forgotten_at = 0`, e.Subject, string(address), e.Sequence, micros(time.Now()))
	return nil
}

// noteForgotten erases the copy of a customer, and who got what was dispatched.
// The row stays, as one that no other event can fill: news of the customer that
// arrives later leaves nothing behind.
func noteForgotten(tx sqldb.Tx, e eventbus.Event) error {
	if err := subjectIsID(e); err != nil {
		return err
	}
	tx.Queue(`INSERT INTO customer (customer_id, name, name_sequence, address, address_sequence, changed_at, forgotten_at)
		VALUES ($1, '', $2, '{}', $2, $3, $4)
		ON CONFLICT (customer_id) DO UPDATE SET name = '', name_sequence = excluded.name_sequence, address = '{}',
			address_sequence = excluded.address_sequence, changed_at = excluded.changed_at, forgotten_at = excluded.forgotten_at`,
		e.Subject, e.Sequence, micros(time.Now()), micros(e.Time))
	// After the row above is locked: whoever dispatches locks it too, see stillKnown.
	tx.Queue(`UPDATE shipment SET recipient = '', address = '{}' WHERE customer_id = $1 AND recipient <> ''`, e.Subject)
	return nil
}

// stillKnown makes sure that the customer is not being forgotten by another
// transaction while this one freezes their name and address in a shipment.
func stillKnown(ctx context.Context, tx sqldb.Tx, customerID string) error {
	n, err := tx.Exec(ctx, `UPDATE customer SET changed_at = changed_at WHERE customer_id = $1 AND forgotten_at = 0`, customerID)
	if err != nil {
		return fmt.Errorf("lock the copy of customer %s: %w", customerID, err)
	}
	if n == 0 {
		return ErrCustomerForgotten
	}
	return nil
}
