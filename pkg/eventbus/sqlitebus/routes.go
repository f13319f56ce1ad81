package sqlitebus

import (
	"context"
	"database/sql"
	"fmt"
	"slices"

	"orderflow/pkg/eventbus"
)

// maxKnownTypes bounds the memory of decisions; there are dozens of types in
// practice, and never an unbounded number by intent.
const maxKnownTypes = 10_000

// routes decides which queues an event goes to. Other processes change the
// bindings in the file, so the writer refreshes it inside each transaction in
// which the topology number has moved.
type routes struct {
	topology int64
	bindings []binding
	unrouted int64
	known    map[string][]int64 // by type; commands nobody takes have no queue
}

type binding struct {
	queue   int64
	pattern string
}

func (r *routes) refresh(ctx context.Context, conn *sql.Conn, topology int64) error {
	if r.topology == topology {
		return nil
	}
	rows, err := conn.QueryContext(ctx, `SELECT queue, pattern FROM binding ORDER BY queue, pattern`)
	if err != nil {
		return fmt.Errorf("read bindings: %w", err)
	}
	var bindings []binding
	err = each(rows, func() error {
		var b binding
		err := rows.Scan(&b.queue, &b.pattern)
		bindings = append(bindings, b)
		return err
	})
	if err != nil {
		return fmt.Errorf("read bindings: %w", err)
	}
	var unrouted int64
	if err := conn.QueryRowContext(ctx, `SELECT id FROM queue WHERE name = ?`, eventbus.Unrouted).Scan(&unrouted); err != nil {
		return fmt.Errorf("read queue %s: %w", eventbus.Unrouted, err)
	}
	*r = routes{topology: topology, bindings: bindings, unrouted: unrouted, known: map[string][]int64{}}
	return nil
}

// to lists the queues of an event, each once.
func (r *routes) to(e eventbus.Event) []int64 {
	if queues, ok := r.known[e.Type]; ok {
		return queues
	}
	var queues []int64
	for _, b := range r.bindings {
		if !slices.Contains(queues, b.queue) && eventbus.Match(b.pattern, e.Type) {
			queues = append(queues, b.queue)
		}
	}
	if len(queues) == 0 && !e.IsCommand() {
		queues = []int64{r.unrouted}
	}
	if len(r.known) >= maxKnownTypes {
		clear(r.known)
	}
	r.known[e.Type] = queues
	return queues
}

// check returns eventbus.ErrUnroutable, with the command named, if one of the
// events is a command without a queue.
func (r *routes) check(events []eventbus.Event) error {
	for _, event := range events {
		if len(r.to(event)) == 0 {
			return fmt.Errorf("publish %s %s: %w", event.Type, event.ID, eventbus.ErrUnroutable)
		}
	}
	return nil
}
