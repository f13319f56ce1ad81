package listing

import (
	"context"
	"fmt"
	"time"

	"orderflow/pkg/es"
	"orderflow/pkg/sqldb"
	"orderflow/services/order/internal/domain"
	"orderflow/services/order/internal/stored"
)

// row is an order in the list.
type row struct {
	state   domain.Order
	version es.Revision // of the last event that is in state
}

// load reads the rows that there are of the orders with these ids.
func load(ctx context.Context, tx sqldb.Tx, d sqldb.Dialect, ids []string) (map[string]row, error) {
	query, arg, err := sqldb.ByKey(d, `order_id, version, state`, `order_list`, `order_id`, ids)
	if err != nil {
		return nil, err
	}
	rows, err := tx.Query(ctx, query, arg)
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
		if one.state, err = stored.ReadState([]byte(text)); err != nil {
			return struct{}{}, fmt.Errorf("order %s: %w", id, err)
		}
		found[id] = one
		return struct{}{}, nil
	})
	return found, err
}

// columns is how many a row of order_list has.
const columns = 7

// save queues the statements that write rows.
func save(tx sqldb.Tx, changed map[string]row) error {
	now := sqldb.Micros(time.Now())
	args := make([]any, 0, len(changed)*columns)
	for id, r := range changed {
		state, err := stored.WriteState(r.state)
		if err != nil {
			return fmt.Errorf("order %s: %w", id, err)
		}
		args = append(args, id, r.state.CustomerID, string(r.state.Status), sqldb.Micros(r.state.PlacedAt), int64(r.version), string(state), now)
	}
	sqldb.QueueRows(tx, `INSERT INTO order_list (order_id, customer_id, status, placed_at, version, state, written_at)`, columns, args, `
		ON CONFLICT (order_id) DO UPDATE SET customer_id = excluded.customer_id, status = excluded.status,
			placed_at = excluded.placed_at, version = excluded.version, state = excluded.state, written_at = excluded.written_at
		WHERE order_list.version < excluded.version`)
	return nil
}
