package cause

import (
	"context"
	"strconv"
	"time"

	"github.com/google/uuid"

	"orderflow/pkg/eventbus"
)

// Cause is the command or the incoming event that sets a change in motion.
type Cause struct {
	// ID is the command's own id, or the id of the incoming event. Ids of
	// everything that follows are derived from it.
	ID uuid.UUID
	// CorrelationID is shared by everything that one request set in motion.
	CorrelationID string
	// TraceParent is the W3C trace context, or empty.
	TraceParent string
	// Request is the HTTP call behind a command, as in "POST /orders"; empty
	// when an event is the cause.
	Request string
	// BodyHash is the fingerprint of the call's body, for commands that carry an
	// Idempotency-Key; otherwise empty.
	BodyHash string
	// At is when the command was received or the event happened, UTC.
	At time.Time
}

// NewID returns a fresh, time-ordered id (UUIDv7), for customers, orders and
// commands.
func NewID() uuid.UUID {
	id, err := uuid.NewV7()
	if err != nil {
		// The system has no randomness left: nothing sensible can follow.
		panic(err)
	}
	return id
}

// Derive returns the id that name has below parent: UUIDv5, so always the same.
func Derive(parent uuid.UUID, name string) uuid.UUID {
	return uuid.NewSHA1(parent, []byte(name))
}

// EventID is the id of the i-th event (from 0) that c brings about on an
// aggregate. The aggregate is part of it because one cause may touch several: a
// deactivated customer with three open orders cancels all three, and those are
// three facts.
func (c Cause) EventID(aggregate string, i int) uuid.UUID {
	return Derive(c.ID, aggregate+"/"+strconv.Itoa(i))
}

// IntegrationID is the id of the integration event of the given type that
// announces a domain event.
func IntegrationID(domainEvent uuid.UUID, typ string) uuid.UUID { return Derive(domainEvent, typ) }

// Of returns the cause that an incoming event is. Ids on the bus need not be
// UUIDs; one that is not is mapped to one, always the same.
func Of(e eventbus.Event) Cause {
	id, err := uuid.Parse(e.ID)
	if err != nil {
		id = Derive(uuid.NameSpaceURL, e.Source+"#"+e.ID)
	}
	return Cause{ID: id, CorrelationID: e.CorrelationID, TraceParent: e.TraceParent, At: e.Time}
}

type contextKey struct{}

// NewContext returns a context that carries c, for the way from the HTTP
// middleware to the handler.
func NewContext(ctx context.Context, c Cause) context.Context {
	return context.WithValue(ctx, contextKey{}, c)
}

// FromContext returns the cause that the HTTP middleware put there, or a fresh
// one: a command always has an id.
func FromContext(ctx context.Context) Cause {
	if c, ok := ctx.Value(contextKey{}).(Cause); ok {
		return c
	}
	id := NewID()
	return Cause{ID: id, CorrelationID: id.String(), At: time.Now().UTC().Truncate(time.Microsecond)}
}
