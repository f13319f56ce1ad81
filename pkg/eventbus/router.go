package eventbus

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"
)

// Router hands each event to the handlers registered for its type. It is for
// consumers without a database of their own: the console, an exporter, a test.
// A consumer that must have an effect once uses package inbox instead.
//
// Register everything first, then subscribe with [Router.Patterns] and
// [Router.Handle]; registering while events arrive is a data race. An event no
// handler is registered for is acknowledged and ignored.
//
// A handler's error keeps the whole batch from being acknowledged, so it means
// "cannot work at the moment". An event that cannot be read would never get
// better by waiting: it goes to [Router.OnFault].
type Router struct {
	log    *slog.Logger
	routes []route
	fault  func(context.Context, Delivery, error) error
}

type route struct {
	pattern string
	handle  func(context.Context, Event) error
}

// NewRouter returns a router without handlers, which logs what it cannot read.
func NewRouter(log *slog.Logger) *Router {
	r := &Router{log: log}
	r.fault = r.logFault
	return r
}

// unreadable marks an error of decoding, as opposed to one of handling.
type unreadable struct{ error }

func (u unreadable) Unwrap() error { return u.error }

// On registers a handler for one event type, with the data decoded as the
// subscriber sees it: T names only the fields it reads. It panics if typ is no
// type but a pattern, since that is a mistake in the program.
func On[T any](r *Router, typ string, h func(context.Context, Event, T) error) {
	if strings.ContainsAny(typ, "*#") {
		panic(fmt.Sprintf("eventbus: On(%q): a typed handler takes one type; use OnAny for patterns", typ))
	}
	r.OnAny(typ, func(ctx context.Context, e Event) error {
		data, err := Decode[T](e)
		if err != nil {
			return unreadable{err}
		}
		return h(ctx, e, data)
	})
}

// OnAny registers a handler for every event whose type matches the pattern,
// with the data as published. Handlers run in the order they were registered.
// It panics if the pattern is invalid.
func (r *Router) OnAny(pattern string, h func(context.Context, Event) error) {
	if err := ValidatePattern(pattern); err != nil {
		panic("eventbus: OnAny: " + err.Error())
	}
	r.routes = append(r.routes, route{pattern, h})
}

// OnFault replaces what happens to a delivery that is malformed or whose data
// cannot be decoded. Returning nil acknowledges it. Without it the router logs
// the event's identity (never its data) as an error and acknowledges.
func (r *Router) OnFault(h func(ctx context.Context, d Delivery, why error) error) {
	r.fault = h
}

// Patterns lists what to subscribe to, each once, sorted.
func (r *Router) Patterns() []string {
	patterns := make([]string, 0, len(r.routes))
	for _, route := range r.routes {
		patterns = append(patterns, route.pattern)
	}
	slices.Sort(patterns)
	return slices.Compact(patterns)
}

// Handle is the [Handler] to subscribe with. It stops at the first error.
func (r *Router) Handle(ctx context.Context, batch []Delivery) error {
	for _, delivery := range batch {
		if err := r.one(ctx, delivery); err != nil {
			return fmt.Errorf("handle %s %s: %w", delivery.Event.Type, delivery.Event.ID, err)
		}
	}
	return nil
}

func (r *Router) one(ctx context.Context, d Delivery) error {
	if d.Malformed != nil {
		return r.fault(ctx, d, d.Malformed)
	}
	for _, route := range r.routes {
		if !Match(route.pattern, d.Event.Type) {
			continue
		}
		err := route.handle(ctx, d.Event)
		if fault, ok := err.(unreadable); ok { //nolint:errorlint // only our own, never one a handler wrapped
			err = r.fault(ctx, d, fault.error)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *Router) logFault(ctx context.Context, d Delivery, why error) error {
	r.log.ErrorContext(ctx, "event skipped: it cannot be read",
		"type", d.Event.Type, "id", d.Event.ID, "subject", d.Event.Subject, "error", why)
	return nil
}
