package story

import (
	"time"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/sqldb"
)

// forgotten stands for a customer's name, and is why a mail was given up.
const forgotten = "forgotten"

// customer is what one event tells about a customer: fields it does not tell
// are zero, and their sequence is never.
type customer struct {
	registeredAt       int64
	name, email        string
	contactSequence    int64
	address            string
	addressSequence    int64
	deactivatedAt      int64
	deactivationReason string
	forgottenAt        int64
}

// noteCustomer adds facts to the row of the customer that the event is about.
func (s *Store) noteCustomer(tx sqldb.Tx, e eventbus.Event, c customer) error {
	if err := identified("a customer", e.Subject); err != nil {
		return err
	}
	const gone = `(customer.forgotten_at > 0 OR excluded.forgotten_at > 0)` // then nothing is taken in
	tx.Queue(`INSERT INTO customer (customer_id, registered_at, name, email, contact_sequence,
			address, address_sequence, deactivated_at, deactivation_reason, last_sequence, written_at, forgotten_at)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)
		ON CONFLICT (customer_id) DO UPDATE SET
			registered_at = CASE WHEN customer.registered_at = 0 THEN excluded.registered_at ELSE customer.registered_at END,
			forgotten_at = CASE WHEN customer.forgotten_at = 0 THEN excluded.forgotten_at ELSE customer.forgotten_at END,
			name = CASE WHEN `+gone+` THEN '' WHEN excluded.contact_sequence > customer.contact_sequence
				THEN excluded.name ELSE customer.name END,
			email = CASE WHEN `+gone+` THEN '' WHEN excluded.contact_sequence > customer.contact_sequence
				THEN excluded.email ELSE customer.email END,
			contact_sequence = CASE WHEN excluded.contact_sequence > customer.contact_sequence
				THEN excluded.contact_sequence ELSE customer.contact_sequence END,
			address = CASE WHEN `+gone+` THEN '' WHEN excluded.address_sequence > customer.address_sequence
				THEN excluded.address ELSE customer.address END,
			address_sequence = CASE WHEN excluded.address_sequence > customer.address_sequence
				THEN excluded.address_sequence ELSE customer.address_sequence END,
			deactivated_at = CASE WHEN customer.deactivated_at = 0 THEN excluded.deactivated_at ELSE customer.deactivated_at END,
			deactivation_reason = CASE WHEN `+gone+` THEN '' WHEN customer.deactivated_at = 0
				THEN excluded.deactivation_reason ELSE customer.deactivation_reason END,
			last_sequence = CASE WHEN excluded.last_sequence > customer.last_sequence
				THEN excluded.last_sequence ELSE customer.last_sequence END,
			written_at = excluded.written_at`,
		e.Subject, c.registeredAt, c.name, c.email, c.contactSequence, c.address, c.addressSequence,
		c.deactivatedAt, c.deactivationReason, e.Sequence, sqldb.Micros(time.Now()), c.forgottenAt)
	if c.email != "" {
		tx.AfterCommit(s.ring) // mails may have waited for it
	}
	return nil
}

// forget erases a customer, and what mails say of them: to whom they went, and
// why they could not. The row stays, as one that no other event fills again. Mails
// that wait are given up.
func (s *Store) forget(tx sqldb.Tx, e eventbus.Event) error {
	at := sqldb.Micros(e.Time)
	if err := s.noteCustomer(tx, e, customer{contactSequence: e.Sequence, addressSequence: e.Sequence, forgottenAt: at}); err != nil {
		return err
	}
	// Those that wait become something else, so that a sender that has one in its
	// hands cannot write down whom it was for: it finds it settled.
	tx.Queue(`UPDATE mail SET recipient = '',
			reason = CASE WHEN status = 'queued' OR reason = '`+forgotten+`' THEN '`+forgotten+`' ELSE '' END,
			settled_at = CASE WHEN status = 'queued' THEN $2 ELSE settled_at END,
			status = CASE WHEN status = 'queued' THEN 'failed' ELSE status END
		WHERE customer_id = $1 AND (recipient <> '' OR reason <> '' OR status = 'queued')`, e.Subject, sqldb.Micros(time.Now()))
	return nil
}
