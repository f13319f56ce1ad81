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
		WHERE customer.name_sequence < excluded.name_sequence`, e.Subject, customer.Name, e.Sequence, micros(time.Now()))
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
		WHERE customer.address_sequence < excluded.address_sequence`, e.Subject, string(address), e.Sequence, micros(time.Now()))
	return nil
}
