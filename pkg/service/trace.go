package service

import (
	"context"
	"slices"
	"time"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/outbox"
	"orderflow/pkg/relay"
)

// TraceItem is one thing that happened to an order in one service.
type TraceItem struct {
	// At is when it happened, UTC.
	At time.Time `json:"at"`
	// Since is when it began, where that is known: an event of the inbox had
	// arrived, one of the outbox had been written, a mail had been ordered.
	Since time.Time `json:"since,omitzero"`
	// DueAt is when an event that is held is tried again.
	DueAt time.Time `json:"dueAt,omitzero"`
	// Kind is what happened: "http" a request arrived, "appended" a domain event
	// was committed, "pending" an integration event waits for the bus, "published"
	// the bus stored it, "received" one was handled, "held" or "parked" one could
	// not be handled or announced, "discarded" a person gave it up, "wrote" a row
	// of a read model changed, "mailed" a mail went out or was kept.
	Kind string `json:"kind" enum:"http,appended,pending,published,received,held,parked,discarded,wrote,mailed"`
	// ID is the id of the command, event, row or mail.
	ID string `json:"id,omitempty"`
	// Type is the request line, the event's type, or the name of the row.
	Type     string `json:"type"`
	Sequence *int64 `json:"sequence,omitempty"`
	// Position is where a committed event stands in the log.
	Position      int64  `json:"position,omitempty"`
	CorrelationID string `json:"correlationId,omitempty"`
	CausationID   string `json:"causationId,omitempty"`
	Attempts      int    `json:"attempts,omitempty"`
	Detail        string `json:"detail,omitempty"`
}

// Trace is what one service knows about an order.
type Trace struct {
	Service string      `json:"service"`
	OrderID string      `json:"orderId"`
	Items   []TraceItem `json:"items"`
}

// Tracer returns what one part of a service has to tell about an order.
type Tracer func(ctx context.Context, orderID string) ([]TraceItem, error)

type traceInput struct {
	OrderID string `path:"orderId"`
}

type traceOutput struct{ Body Trace }

// ServeTrace adds GET /trace/{orderId}: what the tracers tell, in order of time.
func (s *Service) ServeTrace(tracers ...Tracer) {
	Get(s, "/trace/{orderId}", "What happened here to an order", func(ctx context.Context, in *traceInput) (*traceOutput, error) {
		if _, err := PathID("order", in.OrderID); err != nil {
			return nil, err
		}
		items := []TraceItem{}
		for _, tracer := range tracers {
			more, err := tracer(ctx, in.OrderID)
			if err != nil {
				return nil, err
			}
			items = append(items, more...)
		}
		slices.SortStableFunc(items, func(a, b TraceItem) int { return a.At.Compare(b.At) })
		return &traceOutput{Trace{Service: s.name, OrderID: in.OrderID, Items: items}}, nil
	})
}

// TraceInbox tells what an inbox received about an order.
func TraceInbox(in *inbox.Inbox) Tracer {
	return func(ctx context.Context, orderID string) ([]TraceItem, error) {
		received, err := in.Trace(ctx, orderID)
		if err != nil {
			return nil, err
		}
		items := make([]TraceItem, len(received))
		for i, r := range received {
			items[i] = TraceItem{
				At: r.ReceivedAt, Since: r.ReceivedAt, DueAt: r.DueAt, Kind: r.Status, ID: r.ID, Type: r.Type, Sequence: &r.Sequence,
				CorrelationID: r.CorrelationID, CausationID: r.CausationID, Attempts: r.Attempts, Detail: r.Reason,
			}
			if r.Status == "handled" {
				items[i].Kind, items[i].At = "received", r.HandledAt
			}
		}
		return items, nil
	}
}

// TraceOutbox tells what requests and publications an outbox knows of. A request
// that led to several events is told once.
func TraceOutbox(out *outbox.Outbox) Tracer {
	return func(ctx context.Context, orderID string) ([]TraceItem, error) {
		rows, err := out.Trace(ctx, orderID)
		if err != nil {
			return nil, err
		}
		var items []TraceItem
		told := map[string]bool{}
		for _, row := range rows {
			if command := row.Event.CausationID; row.Request != "" && !told[command] {
				told[command] = true
				items = append(items, TraceItem{
					At: row.RequestedAt, Kind: "http", ID: command, Type: row.Request, CorrelationID: row.Event.CorrelationID,
				})
			}
			items = append(items, publication(row.Event, row.AddedAt, row.SentAt, row.ParkedAt, row.Reason))
		}
		return items, nil
	}
}

// TraceRelay tells what a relay published, and which events it had to park.
func TraceRelay(r *relay.Relay) Tracer {
	return func(ctx context.Context, orderID string) ([]TraceItem, error) {
		published, err := r.Trace(ctx, orderID)
		if err != nil {
			return nil, err
		}
		parked, err := r.ParkedOf(ctx, orderID)
		if err != nil {
			return nil, err
		}
		items := make([]TraceItem, 0, len(published)+len(parked))
		for _, p := range published {
			items = append(items, TraceItem{
				At: p.PublishedAt, Kind: "published", ID: p.ID, Type: p.Type, Sequence: &p.Sequence,
				CorrelationID: p.CorrelationID, CausationID: p.CausationID,
			})
		}
		for _, p := range parked {
			items = append(items, TraceItem{At: p.ParkedAt, Kind: "parked", ID: p.ID, Type: p.Type, Sequence: &p.Revision, Detail: p.Reason})
		}
		return items, nil
	}
}

// publication tells how far an event of the outbox has come.
func publication(e eventbus.Event, added, sent, parked time.Time, reason string) TraceItem {
	item := TraceItem{
		At: sent, Since: added, Kind: "published", ID: e.ID, Type: e.Type, Sequence: &e.Sequence,
		CorrelationID: e.CorrelationID, CausationID: e.CausationID, Detail: reason,
	}
	switch {
	case !parked.IsZero():
		item.At, item.Kind = parked, "parked"
	case sent.IsZero():
		item.At, item.Kind = added, "pending"
	}
	return item
}
