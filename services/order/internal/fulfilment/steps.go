package fulfilment

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/services/order/internal/domain"
	"orderflow/services/order/internal/stored"
)

// ReturnedV1 is how packing tells that goods are back in the shelf.
const ReturnedV1 = "packing.events.returned.v1"

type returned struct {
	OrderID    string    `json:"orderId"`
	OccurredAt time.Time `json:"occurredAt"`
}

// Register adds the handler of what packing says to processes themselves.
func (m *Manager) Register(in *inbox.Inbox) {
	inbox.Do(in, ReturnedV1, func(ctx context.Context, e eventbus.Event, data returned) error {
		id, err := uuid.Parse(data.OrderID)
		if err != nil {
			return inbox.Park(fmt.Errorf("order id %q: %w", data.OrderID, err))
		}
		if data.OccurredAt.IsZero() {
			return inbox.Park(fmt.Errorf("%s %s does not say when it happened", e.Type, e.ID))
		}
		return m.step(ctx, id, cause.Of(e), Heard{Trigger: GoodsReturned, At: data.OccurredAt.UTC()})
	})
}

// hear takes one event of an order into its process. What was stored as one
// event may mean several; at most one of them means something to the process, so
// the stored event's id is cause enough.
func (m *Manager) hear(ctx context.Context, r es.Recorded) error {
	events, err := stored.Codec{}.Decode(ctx, r)
	if err != nil {
		return fmt.Errorf("event %d of %s: %w", r.Revision, r.Stream, err)
	}
	for _, event := range events {
		heard := heardOf(event)
		if heard.Trigger == "" {
			continue
		}
		if err := m.step(ctx, r.AggregateID(), causeOf(r), heard); err != nil {
			return err
		}
	}
	return nil
}

// heardOf is what an event of an order means to its process; the zero value is
// nothing.
func heardOf(event domain.Event) Heard {
	switch e := event.(type) {
	case domain.Placed:
		return Heard{Trigger: OrderPlaced, CustomerID: e.CustomerID, At: e.At}
	case domain.Packed:
		return Heard{Trigger: OrderPacked, At: e.At}
	case domain.Cancelled:
		return Heard{Trigger: OrderCancelled, Reason: e.Reason, At: e.At}
	case domain.Dispatched:
		return Heard{Trigger: OrderDispatched, At: e.At}
	case domain.Rejected: // what matters is the cancellation behind it
	}
	return Heard{}
}

// causeOf is a committed event as the cause of what follows from it.
func causeOf(r es.Recorded) cause.Cause {
	return cause.Cause{ID: r.ID, CorrelationID: r.Metadata.CorrelationID, TraceParent: r.Metadata.TraceParent, At: r.At}
}

// step takes what was heard into a process. It may be called again with the same
// cause, and by several at once.
//
// Where the process is known to stand, or is new, the event is appended there
// without reading the stream. If it has gone on since, that comes to light: the
// revision is another one, unless what follows is what was heard now, which is
// then known by its id. That nothing is to be done is never concluded from what
// is known, only from the stream.
func (m *Manager) step(ctx context.Context, id uuid.UUID, c cause.Cause, heard Heard) error {
	at, ok := m.known.get(id)
	if !ok && heard.Trigger == OrderPlaced {
		at, ok = standing{revision: es.NoStream}, true
	}
	if events, err := m.rules.Decide(at.process, heard); ok && err == nil && len(events) > 0 {
		err := m.processes.Append(ctx, id, c, at.revision, events)
		if err == nil {
			for _, e := range events {
				at = standing{Apply(at.process, e), at.revision + 1}
			}
			m.known.put(id, at)
			return nil
		}
		if !errors.Is(err, es.ErrWrongRevision) && !errors.Is(err, es.ErrUnavailable) {
			return err
		}
	}
	m.known.forget(id)
	process, revision, err := m.processes.Update(ctx, id, c, es.Precondition{}, func(p Process) ([]Event, error) {
		return m.rules.Decide(p, heard)
	})
	if err != nil {
		return err
	}
	m.known.put(id, standing{process, revision})
	return nil
}

// carryOut does what an event of a process asks of its order; the other commands
// are for the relay. An order that has moved on does nothing.
func (m *Manager) carryOut(ctx context.Context, r es.Recorded, e Event) error {
	if e.Name != Expired {
		return nil
	}
	var waitsAs domain.Status
	switch StageOf(e.Missed.Kind) {
	case "packing":
		waitsAs = domain.StatusPlaced
	case "dispatch":
		waitsAs = domain.StatusPacked
	default:
		return fmt.Errorf("deadline %q, which has passed: %w", e.Missed.Kind, ErrNotInTable)
	}
	_, _, err := m.config.Orders.Update(ctx, r.AggregateID(), causeOf(r), es.Precondition{}, func(o domain.Order) ([]domain.Event, error) {
		return o.Expire(waitsAs, e.Reason, e.At)
	})
	return err
}

// isProcess reports whether an event is one of a process, and not of an order.
func isProcess(r es.Recorded) bool { return strings.HasPrefix(r.Stream, Category+"-") }

// standing is where a process stood when this manager last wrote to it.
type standing struct {
	process  Process
	revision es.Revision
}

// known remembers where processes stand, so that most steps are one call. What
// it says is never trusted: the event store checks the revision.
type known struct {
	mu    sync.Mutex
	of    map[uuid.UUID]standing
	older map[uuid.UUID]standing
}

// mostKnown bounds each of the two generations, about 200 bytes an order.
const mostKnown = 20_000

func newKnown() *known { return &known{of: map[uuid.UUID]standing{}} }

func (k *known) get(id uuid.UUID) (standing, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	at, ok := k.of[id]
	if !ok {
		at, ok = k.older[id]
	}
	return at, ok
}

// put remembers; what has not changed for two generations is forgotten.
func (k *known) put(id uuid.UUID, at standing) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.of) >= mostKnown {
		k.older, k.of = k.of, map[uuid.UUID]standing{}
	}
	k.of[id] = at
}

func (k *known) forget(id uuid.UUID) {
	k.mu.Lock()
	defer k.mu.Unlock()
	delete(k.of, id)
	delete(k.older, id)
}
