package outbox

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"orderflow/pkg/cause"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/sqldb"
)

// ErrIDTaken says that another fact was announced under the same id before. Ids
// must be derived from what caused the event; see package cause.
var ErrIDTaken = errors.New("the id belongs to another event")

// addAtOnce bounds the rows of one INSERT.
const addAtOnce = 200

// Add puts the events into the transaction of the caller, to be published in
// this order once it has committed. c is what brought them about; it is kept
// for tracing, and fills CorrelationID, CausationID and TraceParent of an event
// that leaves them empty.
//
// Call it after the transaction has read or written the aggregate that the
// events are about: their order follows from that.
//
// An event that no bus would take (eventbus.ErrInvalidEvent) is refused here,
// where the mistake is. Adding an event that is there already changes nothing,
// unless it has another source, type or subject ([ErrIDTaken]).
func (o *Outbox) Add(ctx context.Context, tx sqldb.Tx, c cause.Cause, events ...eventbus.Event) error {
	for _, e := range events {
		if err := e.Validate(); err != nil {
			return fmt.Errorf("add to the outbox: %w", err)
		}
	}
	for some := range slices.Chunk(events, addAtOnce) {
		if err := insert(ctx, tx, c, some); err != nil {
			return fmt.Errorf("add %s of %s to the outbox: %w", some[0].Type, some[0].Subject, err)
		}
	}
	if len(events) > 0 {
		tx.AfterCommit(o.wakeForRows)
	}
	return nil
}

const (
	addColumns = `id, source, type, subject, time, content_type, data, correlation_id, causation_id, trace_parent, sequence,
		request, requested_at, added_at`
	addWidth = 14
)

func insert(ctx context.Context, tx sqldb.Tx, c cause.Cause, events []eventbus.Event) error {
	now := sqldb.Micros(time.Now())
	requestedAt := int64(0)
	if !c.At.IsZero() {
		requestedAt = sqldb.Micros(c.At)
	}
	args := make([]any, 0, len(events)*addWidth)
	for _, e := range events {
		data := e.Data
		if data == nil {
			data = []byte{} // no data is not NULL
		}
		args = append(args, e.ID, e.Source, e.Type, e.Subject, sqldb.Micros(e.Time), e.ContentType(), data,
			cmp.Or(e.CorrelationID, c.CorrelationID), cmp.Or(e.CausationID, c.ID.String()), cmp.Or(e.TraceParent, c.TraceParent),
			e.Sequence, c.Request, requestedAt, now)
	}
	n, err := tx.Exec(ctx, `INSERT INTO outbox (`+addColumns+`) VALUES `+sqldb.Values(len(events), addWidth)+
		` ON CONFLICT (id) DO NOTHING`, args...)
	if err != nil {
		return err
	}
	if n == int64(len(events)) {
		return nil
	}
	return sameFacts(ctx, tx, events)
}

// sameFacts makes sure that what is in the table under the ids of the events
// is these events, so that a wrongly derived id cannot swallow one in silence.
func sameFacts(ctx context.Context, tx sqldb.Tx, events []eventbus.Event) error {
	for _, e := range events {
		var source, typ, subject string
		err := tx.QueryRow(ctx, `SELECT source, type, subject FROM outbox WHERE id = $1`, e.ID).Scan(&source, &typ, &subject)
		if err != nil {
			return err
		}
		if source != e.Source || typ != e.Type || subject != e.Subject {
			return fmt.Errorf("%w: %s is %s of %s", ErrIDTaken, e.ID, typ, subject)
		}
	}
	return nil
}

// wakeUp wakes the publisher, here or in another process.
func (o *Outbox) wakeUp() {
	signal(o.wake)
	signal(o.added)
}

// wakeForRows is wakeUp for added rows, which a stream brings by itself.
func (o *Outbox) wakeForRows() {
	if o.options.Reader == Capture && (o.streaming.Load() || !o.lease.Holding()) {
		return
	}
	o.wakeUp()
}

// signal never blocks: one token stands for any number of commits.
func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
