package listing

import (
	"context"
	"fmt"
	"sync"
	"time"

	"orderflow/pkg/es"
	"orderflow/pkg/position"
	"orderflow/pkg/sqldb"
)

// Source is the source of the positions that the list can be waited for with:
// the order service's own, whose sequences are revisions of the order's stream.
const Source = "/orderflow/order"

// Await waits until the list shows the order that p is about as it was at p, at
// most for patience. An order that has an event which cannot be read stays
// behind it.
func (l *Listing) Await(ctx context.Context, p position.Position, patience time.Duration) (position.State, error) {
	state, err := l.waiting.Await(ctx, p, patience)
	if err != nil {
		return state, fmt.Errorf("wait for order %s at %d in the list: %w", p.Subject, p.Sequence, err)
	}
	return state, nil
}

// statesAtOnce bounds the orders of one query.
const statesAtOnce = 500

// states is the position.Look of the list.
func (l *Listing) states(ctx context.Context, positions []position.Position) ([]position.State, error) {
	states := make([]position.State, len(positions))
	for first := 0; first < len(positions); first += statesAtOnce {
		some := positions[first:min(first+statesAtOnce, len(positions))]
		ids := make([]any, len(some))
		for i, p := range some {
			ids[i] = p.Subject
		}
		versions, err := l.versions(ctx, ids)
		if err != nil {
			return nil, err
		}
		for i, p := range some {
			states[first+i] = position.Missing
			if version, listed := versions[p.Subject]; listed && version >= p.Sequence {
				states[first+i] = position.Applied
			}
		}
	}
	return states, nil
}

func (l *Listing) versions(ctx context.Context, ids []any) (map[string]int64, error) {
	rows, err := l.db.Query(ctx, `SELECT order_id, version FROM order_list WHERE order_id IN `+sqldb.List(1, len(ids)), ids...)
	if err != nil {
		return nil, fmt.Errorf("versions in the list: %w", err)
	}
	versions := make(map[string]int64, len(ids))
	_, err = sqldb.Collect(rows, func(r sqldb.Row) (struct{}, error) {
		var id string
		var version int64
		err := r.Scan(&id, &version)
		versions[id] = version
		return struct{}{}, err
	})
	if err != nil {
		return nil, fmt.Errorf("versions in the list: %w", err)
	}
	return versions, nil
}

const (
	// lookEvery is how often the list is compared with the log, however many read.
	lookEvery = time.Second
	// lookFor bounds how long a read is kept by that.
	lookFor = 500 * time.Millisecond
)

// completeness is up to when the list is known to be complete.
type completeness struct {
	mu       sync.Mutex
	looking  bool
	lookedAt time.Time
	complete time.Time
	end      es.Position // of the log at the last look
	newest   mark        // the last event of an order then
	owed     mark        // what the list had not come to at an earlier look
	seen     es.Position // what this process has read the log up to, when it is the one that writes
}

// mark is a place in the log, and when it was known to be the last.
type mark struct {
	position es.Position
	at       time.Time
}

// Complete is the latest moment of which it is known that every event an order
// had by then is in the list; zero when that is not known of any. It follows
// from a look at the log and the checkpoint, once a second at most.
func (l *Listing) Complete(ctx context.Context) time.Time {
	c := &l.completeness
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.looking || time.Since(c.lookedAt) < lookEvery {
		return c.complete
	}
	c.looking = true
	began, after := time.Now(), c.end
	c.mu.Unlock()
	newest, end, done, err := l.compare(ctx, after)
	c.mu.Lock()
	c.looking, c.lookedAt = false, began
	if err == nil {
		c.compared(began, newest, end, max(done, c.seen))
	}
	return c.complete
}

// compare reads what has come into the log since the last look, and then how
// far the list has come.
func (l *Listing) compare(ctx context.Context, after es.Position) (newest, end, done es.Position, err error) {
	ctx, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	if newest, end, err = l.store.Newest(ctx, after, prefixes()); err != nil {
		return 0, 0, 0, err
	}
	done, err = checkpoint(ctx, l.db)
	return newest, end, done, err
}

// compared takes in a look. While events flow the list has hardly ever come to
// the newest of them at a look, but to the one that was it at an earlier look.
func (c *completeness) compared(began time.Time, newest, end, done es.Position) {
	if c.end = end; newest > 0 {
		c.newest.position = newest
	}
	c.newest.at = began
	switch {
	case done >= c.newest.position:
		c.complete, c.owed = began, mark{}
	case c.owed.position == 0:
		c.owed = c.newest
	case done >= c.owed.position:
		c.complete, c.owed = c.owed.at, c.newest
	}
}

// read notes how far this process has read the log.
func (c *completeness) read(to es.Position) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = to
}
