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
	inside  func(ctx context.Context, tx sqldb.Tx, e eventbus.Event) error
	outside func(ctx context.Context, e eventbus.Event) error
}

type routes struct {
	types    map[string]handler
	patterns []patternRoute
}

type patternRoute struct {
	pattern string
	handler handler
}

// On registers the handler of one event type whose effect is inside the
// transaction: rows of read models and of the outbox. T names the fields of
// the data that it reads. It may be run again after a rollback and does
// nothing that outlives one.
//
// A type has one handler; On panics when there is one already, or when typ is
// a pattern: a mistake in the program.
func On[T any](in *Inbox, typ string, fn func(ctx context.Context, tx sqldb.Tx, e eventbus.Event, data T) error) {
	in.routes.add(typ, handler{inside: func(ctx context.Context, tx sqldb.Tx, e eventbus.Event) error {
		data, err := eventbus.Decode[T](e)
		if err != nil {
			return Park(err)
		}
		return fn(ctx, tx, e, data)
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
	in.routes.add(typ, handler{outside: func(ctx context.Context, e eventbus.Event) error {
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
	in.routes.patterns = append(in.routes.patterns, patternRoute{pattern, handler{inside: fn}})
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

func (r *routes) add(typ string, h handler) {
	if err := eventbus.ValidatePattern(typ); err != nil || strings.ContainsAny(typ, "*#") {
		panic(fmt.Sprintf("inbox: %q is no event type; use OnAny for patterns", typ))
	}
	if _, taken := r.types[typ]; taken {
		panic(fmt.Sprintf("inbox: %s has two handlers", typ))
	}
	if r.types == nil {
		r.types = map[string]handler{}
	}
	r.types[typ] = h
}

func (r *routes) find(typ string) (h handler, ok bool) {
	if h, ok = r.types[typ]; ok {
		return h, true
	}
	for _, route := range r.patterns {
		if eventbus.Match(route.pattern, typ) {
			return route.handler, true
		}
	}
	return handler{}, false
}
