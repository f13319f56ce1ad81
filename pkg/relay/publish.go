package relay

import (
	"context"
	"errors"
	"fmt"

	"orderflow/pkg/es"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/sqldb"
)

// announcement is a committed event with what announces it.
type announcement struct {
	of     es.Recorded
	events []eventbus.Event
}

// translateAll returns an error only for what is expected to pass.
func (r *Relay) translateAll(ctx context.Context, batch []es.Recorded) (all []announcement, failed []Parked, err error) {
	all = make([]announcement, 0, len(batch))
	for _, recorded := range batch {
		events, err := r.translate(ctx, recorded)
		switch {
		case err == nil && len(events) > 0:
			all = append(all, announcement{recorded, events})
		case err != nil && r.isTemporary(ctx, err):
			return nil, nil, err
		case err != nil:
			failed = append(failed, parkedOf(recorded, err))
		}
	}
	return all, failed, nil
}

// send publishes everything in one call. When the bus refuses that for what an
// event is, each goes by itself, so that only the guilty one is parked.
func (r *Relay) send(ctx context.Context, announcements []announcement) (sent []eventbus.Event, failed []Parked, err error) {
	sent = make([]eventbus.Event, 0, len(announcements))
	for _, a := range announcements {
		sent = append(sent, a.events...)
	}
	if len(sent) == 0 {
		return nil, nil, nil
	}
	err = r.config.Bus.Publish(ctx, sent...)
	if err == nil || !refused(err) {
		return sent, nil, err
	}
	sent = nil
	for _, a := range announcements {
		err := r.config.Bus.Publish(ctx, a.events...)
		switch {
		case err == nil:
			sent = append(sent, a.events...)
		case refused(err):
			failed = append(failed, parkedOf(a.of, err))
		default:
			return nil, nil, err
		}
	}
	return sent, failed, nil
}

// refused tells an event that will never be taken from a bus that takes none.
func refused(err error) bool {
	return errors.Is(err, eventbus.ErrInvalidEvent) || errors.Is(err, eventbus.ErrUnroutable)
}

// translate calls the service's function. A panic, an event that no bus would
// take and two under one id are errors like any other: the event is at fault, not
// its neighbours.
func (r *Relay) translate(ctx context.Context, recorded es.Recorded) (events []eventbus.Event, err error) {
	if recorded.Unreadable != nil {
		return nil, recorded.Unreadable
	}
	defer func() {
		if p := recover(); p != nil {
			events, err = nil, fmt.Errorf("panic: %v", p)
		}
	}()
	events, err = r.config.Translate(ctx, recorded)
	if err != nil {
		return nil, err
	}
	ids := make(map[string]bool, len(events))
	for _, event := range events {
		if err := event.Validate(); err != nil {
			return nil, err
		}
		if ids[event.ID] { // consumers would take it for a repetition of the other
			return nil, fmt.Errorf("two announcements of type %s share the id %s", event.Type, event.ID)
		}
		ids[event.ID] = true
	}
	return events, nil
}

func (r *Relay) isTemporary(ctx context.Context, err error) bool {
	return ctx.Err() != nil || sqldb.IsUnavailable(err) || errors.Is(err, es.ErrUnavailable) ||
		r.config.Temporary != nil && r.config.Temporary(err)
}
