package inbox

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/sqldb"
)

// handler is the one or the other kind.
type handler struct {
	// inside handles events in the transaction; several only when batched. When
	// it fails, guilty is the index of the event whose fault it is, or unknown.
	inside  func(ctx context.Context, tx sqldb.Tx, events []eventbus.Event) (guilty int, err error)
	batched bool
	outside func(ctx context.Context, e eventbus.Event) error
}

// unknown is the index of the guilty event when it could be any.
const unknown = -1

type routes struct {
	types    map[string]*handler
	patterns []patternRoute
}

type patternRoute struct {
	pattern string
	handler *handler
}

// On registers the handler of one event type whose effect is inside the
// transaction: rows of read models and of the outbox. T names the fields of
// the data that it reads. It may be run again after a rollback and does
// nothing that outlives one. A handler that queues its statements
// (sqldb.Tx.Queue) costs no round trip of its own.
//
// A type has one handler; On panics when there is one already, or when typ is
// a pattern: a mistake in the program.
func On[T any](in *Inbox, typ string, fn func(ctx context.Context, tx sqldb.Tx, e eventbus.Event, data T) error) {
	in.routes.add(typ, &handler{inside: func(ctx context.Context, tx sqldb.Tx, events []eventbus.Event) (int, error) {
		data, err := eventbus.Decode[T](events[0])
		if err != nil {
			return 0, Park(err)
		}
		return 0, fn(ctx, tx, events[0], data)
	}})
}

// Item is an event in a batch, with its data decoded.
type Item[T any] struct {
	Event eventbus.Event
	Data  T
}

// OnBatch registers a handler like [On] that gets the events of its type which
// arrived together, so that it can write all of them with one statement
// (sqldb.QueueRows). A batch has no two events of one subject, and is in the
// order of arrival. For events of one subject everything is as with On; an event
// may be handled before one of another type that arrived earlier, if that
// belongs to another subject.
//
// When fn fails the batch is repeated in parts, until the guilty event is alone.
func OnBatch[T any](in *Inbox, typ string, fn func(ctx context.Context, tx sqldb.Tx, batch []Item[T]) error) {
	in.routes.add(typ, &handler{batched: true, inside: func(ctx context.Context, tx sqldb.Tx, events []eventbus.Event) (int, error) {
		batch := make([]Item[T], len(events))
		for i, e := range events {
			data, err := eventbus.Decode[T](e)
			if err != nil {
				return i, Park(err)
			}
			batch[i] = Item[T]{e, data}
		}
		return unknown, fn(ctx, tx, batch)
	}})
}

// Do registers the handler of one event type whose effect is elsewhere: an
// append to an event stream. It runs before the event is noted in the inbox,
// and again when that note is lost, so its effect must be the same the second
// time, by ids derived from the event (cause.Of). Handlers of different
// subjects run concurrently.
//
// Do panics as [On] does.
func Do[T any](in *Inbox, typ string, fn func(ctx context.Context, e eventbus.Event, data T) error) {
	in.routes.add(typ, &handler{outside: func(ctx context.Context, e eventbus.Event) error {
		data, err := eventbus.Decode[T](e)
		if err != nil {
			return Park(err)
		}
		return fn(ctx, e, data)
	}})
}

// OnAny registers a handler like [On] for every type that matches pattern (see
// eventbus.Match) and has no handler of its own; among patterns the one
// registered first wins. It panics if the pattern is invalid.
func (in *Inbox) OnAny(pattern string, fn func(ctx context.Context, tx sqldb.Tx, e eventbus.Event) error) {
	if err := eventbus.ValidatePattern(pattern); err != nil {
		panic("inbox: OnAny: " + err.Error())
	}
	in.routes.patterns = append(in.routes.patterns, patternRoute{pattern, &handler{
		inside: func(ctx context.Context, tx sqldb.Tx, events []eventbus.Event) (int, error) {
			return 0, fn(ctx, tx, events[0])
		},
	}})
}

// Patterns lists what to subscribe to, each once, sorted.
func (in *Inbox) Patterns() []string {
	var patterns []string
	for typ := range in.routes.types {
		patterns = append(patterns, typ)
	}
	for _, route := range in.routes.patterns {
		patterns = append(patterns, route.pattern)
	}
	slices.Sort(patterns)
	return slices.Compact(patterns)
}

func (r *routes) add(typ string, h *handler) {
	if err := eventbus.ValidatePattern(typ); err != nil || strings.ContainsAny(typ, "*#") {
		panic(fmt.Sprintf("inbox: %q is no event type; use OnAny for patterns", typ))
	}
	if _, taken := r.types[typ]; taken {
		panic(fmt.Sprintf("inbox: %s has two handlers", typ))
	}
	if r.types == nil {
		r.types = map[string]*handler{}
	}
	r.types[typ] = h
}

func (r *routes) find(typ string) (h *handler, ok bool) {
	if h, ok = r.types[typ]; ok {
		return h, true
	}
	for _, route := range r.patterns {
		if eventbus.Match(route.pattern, typ) {
			return route.handler, true
		}
	}
	return nil, false
}
