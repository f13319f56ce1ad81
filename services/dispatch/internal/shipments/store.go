package shipments

import (
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"time"

	"orderflow/pkg/outbox"
	"orderflow/pkg/sqldb"
)

//go:embed migrations
var migrations embed.FS

// Migrations returns the migrations of the tables of shipments and customers, for service.Migrate.
func Migrations() fs.FS { return migrations }

// Store keeps the shipments and the copies of customers. Safe for concurrent
// use, also by several processes.
type Store struct {
	db  sqldb.DB
	out *outbox.Outbox
}

// New returns the store of the shipments in db, which announces what people did
// through out, an outbox in the same database.
func New(db sqldb.DB, out *outbox.Outbox) *Store { return &Store{db: db, out: out} }

// change lets decide turn the shipment of an order into what it becomes, and
// writes that if its version was counted up. decide may be called again: when
// another transaction was faster, the decision is taken anew on what that one
// left. It must therefore be pure. Every round that is lost was won by somebody
// else, and the end of ctx ends it.
func change(
	ctx context.Context, tx sqldb.Tx, orderID string, decide func(Shipment) (Shipment, error),
) (before, after Shipment, err error) {
	for {
		if before, err = load(ctx, tx, orderID); err != nil {
			return before, before, err
		}
		if after, err = decide(before); err != nil || after.Version == before.Version {
			return before, before, err
		}
		written, err := save(ctx, tx, after)
		if err != nil || written {
			return before, after, err
		}
	}
}

// selectShipments reads shipments with the recipient: frozen once dispatched,
// and until then what the copy of the customer says.
const selectShipments = `SELECT s.order_id, s.version, s.customer_id, s.packed_at, s.correlation_id, s.cancelled_at,
	s.dispatched_at, s.carrier, s.tracking_number,
	CASE WHEN s.dispatched_at > 0 THEN s.recipient ELSE COALESCE(c.name, '') END,
	CASE WHEN s.dispatched_at > 0 THEN s.address ELSE COALESCE(c.address, '{}') END,
	s.packing_sequence, s.changed_at, COALESCE(c.forgotten_at, 0) > 0
	FROM shipment s LEFT JOIN customer c ON c.customer_id = s.customer_id `

// load returns the shipment of an order, or an unseen one.
func load(ctx context.Context, q sqldb.Querier, orderID string) (Shipment, error) {
	shipment, err := scan(q.QueryRow(ctx, selectShipments+`WHERE s.order_id = $1`, orderID))
	if errors.Is(err, sqldb.ErrNoRows) {
		return unseen(orderID), nil
	}
	if err != nil {
		return Shipment{}, fmt.Errorf("load shipment %s: %w", orderID, err)
	}
	return shipment, nil
}

// save writes the shipment over the version before it, and reports false when
// that is no longer there. The recipient is written only when it is final. The
// status is written down for the index; it is never read back.
func save(ctx context.Context, tx sqldb.Tx, s Shipment) (bool, error) {
	if s.Status() != StatusDispatched {
		s.Recipient, s.Address = "", Address{}
	}
	address, err := json.Marshal(s.Address)
	if err != nil {
		return false, fmt.Errorf("encode the address of shipment %s: %w", s.OrderID, err)
	}
	statement := `INSERT INTO shipment (order_id, version, customer_id, packed_at, correlation_id, cancelled_at,
			dispatched_at, carrier, tracking_number, recipient, address, packing_sequence, changed_at, status)
		VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) ON CONFLICT (order_id) DO NOTHING`
	if s.Version > 0 {
		statement = `UPDATE shipment SET version = $2, customer_id = $3, packed_at = $4, correlation_id = $5,
			cancelled_at = $6, dispatched_at = $7, carrier = $8, tracking_number = $9, recipient = $10, address = $11,
			packing_sequence = $12, changed_at = $13, status = $14 WHERE order_id = $1 AND version = $2 - 1`
	}
	n, err := tx.Exec(ctx, statement, s.OrderID, s.Version, s.CustomerID, micros(s.PackedAt), s.CorrelationID,
		micros(s.CancelledAt), micros(s.DispatchedAt), s.Carrier, s.TrackingNumber, s.Recipient, string(address),
		s.PackingSequence, micros(time.Now()), string(s.Status()))
	if err != nil {
		return false, fmt.Errorf("save shipment %s: %w", s.OrderID, err)
	}
	return n == 1, nil
}

func scan(row sqldb.Row) (Shipment, error) {
	var s Shipment
	var address string
	var packedAt, cancelledAt, dispatchedAt, changedAt int64
	if err := row.Scan(&s.OrderID, &s.Version, &s.CustomerID, &packedAt, &s.CorrelationID, &cancelledAt,
		&dispatchedAt, &s.Carrier, &s.TrackingNumber, &s.Recipient, &address, &s.PackingSequence, &changedAt, &s.Forgotten); err != nil {
		return s, err
	}
	s.PackedAt, s.CancelledAt = instant(packedAt), instant(cancelledAt)
	s.DispatchedAt, s.ChangedAt = instant(dispatchedAt), instant(changedAt)
	if err := json.Unmarshal([]byte(address), &s.Address); err != nil {
		return s, fmt.Errorf("address of shipment %s: %w", s.OrderID, err)
	}
	return s, nil
}

// micros and instant store a time that may not have come: as 0.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return sqldb.Micros(t)
}

func instant(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return sqldb.Time(micros)
}
