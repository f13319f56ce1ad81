package listing

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"orderflow/pkg/es"
	"orderflow/pkg/sqldb"
	"orderflow/services/order/internal/domain"
)

// row is an order in the list.
type row struct {
	state   domain.Order
	version es.Revision // of the last event that is in state
}

// The column state, as JSON. Its names are its own: rows outlive the names of
// fields in the domain.
type stateJSON struct {
	Status       string     `json:"status"`
	CustomerID   string     `json:"customerId"`
	Lines        []lineJSON `json:"lines"`
	Total        moneyJSON  `json:"total"`
	PlacedAt     time.Time  `json:"placedAt"`
	PackedAt     time.Time  `json:"packedAt,omitzero"`
	DispatchedAt time.Time  `json:"dispatchedAt,omitzero"`
	CancelledAt  time.Time  `json:"cancelledAt,omitzero"`
	CancelReason string     `json:"cancelReason,omitempty"`
}

type lineJSON struct {
	SKU       string    `json:"sku"`
	Name      string    `json:"name"`
	Quantity  int64     `json:"quantity"`
	UnitPrice moneyJSON `json:"unitPrice"`
}

type moneyJSON struct {
	Amount   int64  `json:"amount"`
	Currency string `json:"currency"`
}

func writeState(o domain.Order) (string, error) {
	lines := make([]lineJSON, len(o.Lines))
	for i, l := range o.Lines {
		lines[i] = lineJSON{l.SKU, l.Name, l.Quantity, moneyJSON(l.UnitPrice)}
	}
	text, err := json.Marshal(stateJSON{
		Status: string(o.Status), CustomerID: o.CustomerID, Lines: lines, Total: moneyJSON(o.Total),
		PlacedAt: o.PlacedAt, PackedAt: o.PackedAt, DispatchedAt: o.DispatchedAt,
		CancelledAt: o.CancelledAt, CancelReason: o.CancelReason,
	})
	return string(text), err
}

func readState(text string) (domain.Order, error) {
	var s stateJSON
	if err := json.Unmarshal([]byte(text), &s); err != nil {
		return domain.Order{}, err
	}
	lines := make([]domain.Line, len(s.Lines))
	for i, l := range s.Lines {
		lines[i] = domain.Line{SKU: l.SKU, Name: l.Name, Quantity: l.Quantity, UnitPrice: domain.Money(l.UnitPrice)}
	}
	return domain.Order{
		Status: domain.Status(s.Status), CustomerID: s.CustomerID, Lines: lines, Total: domain.Money(s.Total),
		PlacedAt: s.PlacedAt, PackedAt: s.PackedAt, DispatchedAt: s.DispatchedAt,
		CancelledAt: s.CancelledAt, CancelReason: s.CancelReason,
	}, nil
}

// load reads the rows that there are of the orders with these ids.
func load(ctx context.Context, tx sqldb.Tx, ids []any) (map[string]row, error) {
	rows, err := tx.Query(ctx, `SELECT order_id, version, state FROM order_list WHERE order_id IN `+sqldb.List(1, len(ids)), ids...)
	if err != nil {
		return nil, err
	}
	found := make(map[string]row, len(ids))
	_, err = sqldb.Collect(rows, func(r sqldb.Row) (struct{}, error) {
		var id, text string
		var one row
		if err := r.Scan(&id, &one.version, &text); err != nil {
			return struct{}{}, err
		}
		var err error
		if one.state, err = readState(text); err != nil {
			return struct{}{}, fmt.Errorf("order %s: %w", id, err)
		}
		found[id] = one
		return struct{}{}, nil
	})
	return found, err
}

// columns is how many a row of order_list has.
const columns = 7

// save writes rows in one statement. A batch of the log has at most 512
// events, which stays below the limits on placeholders.
func save(ctx context.Context, tx sqldb.Tx, changed map[string]row) error {
	if len(changed) == 0 {
		return nil
	}
	now := sqldb.Micros(time.Now())
	args := make([]any, 0, len(changed)*columns)
	for id, r := range changed {
		state, err := writeState(r.state)
		if err != nil {
			return fmt.Errorf("order %s: %w", id, err)
		}
		args = append(args, id, r.state.CustomerID, string(r.state.Status), sqldb.Micros(r.state.PlacedAt), int64(r.version), state, now)
	}
	_, err := tx.Exec(ctx, `INSERT INTO order_list (order_id, customer_id, status, placed_at, version, state, written_at)
		VALUES `+sqldb.Values(len(changed), columns)+`
		ON CONFLICT (order_id) DO UPDATE SET customer_id = excluded.customer_id, status = excluded.status,
			placed_at = excluded.placed_at, version = excluded.version, state = excluded.state, written_at = excluded.written_at
		WHERE order_list.version < excluded.version`, args...)
	return err
}
