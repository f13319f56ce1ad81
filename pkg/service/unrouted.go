package service

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"orderflow/pkg/eventbus"
)

// redriveFor is how long one request publishes: less than a request may take, so
// that there is an answer.
const redriveFor = maxRequest * 3 / 4

// Unrouted counts the events that nobody had subscribed to when they were
// published.
type Unrouted struct {
	Events int `json:"events"`
}

// RedrivenUnrouted is what one request has done about them.
type RedrivenUnrouted struct {
	// Published counts the events that were published once more.
	Published int `json:"published"`
	// Malformed counts the messages that are no events and cannot be published.
	// They are kept apart now, with the dead letters of the unrouted events.
	Malformed int `json:"malformed"`
	// Left counts those that are kept now: there was no time for them, or they
	// found no queue again.
	Left int `json:"left"`
}

type redriveUnroutedInput struct {
	PerSecond int `query:"perSecond" minimum:"0" maximum:"10000" doc:"the most events a second; 0 is as fast as it goes"`
}

type unroutedOutput struct{ Body Unrouted }

type redrivenOutput struct{ Body RedrivenUnrouted }

// serveUnrouted adds the operations on the events that the bus keeps because
// nobody had subscribed to them. They are the whole system's: every service
// that has the bus shows the same ones, so that a person needs no way to the
// broker.
func (s *Service) serveUnrouted(bus eventbus.Bus) {
	Get(s, "/unrouted", "Events of the whole system that nobody had subscribed to", func(ctx context.Context, _ *struct{}) (*unroutedOutput, error) {
		events, err := bus.Depth(ctx, eventbus.Unrouted)
		if err != nil {
			return nil, err
		}
		return &unroutedOutput{Unrouted{Events: events}}, nil
	})
	var running sync.Mutex
	Post(s, "/unrouted/redrive", "Publish them once more, for some seconds at most", func(ctx context.Context, in *redriveUnroutedInput) (*redrivenOutput, error) {
		if !running.TryLock() {
			return nil, NewProblem(http.StatusConflict, "redrive-running", "the events are being published already").RetryAfter("1")
		}
		defer running.Unlock()
		done, err := redriveWithin(ctx, bus, in.PerSecond, redriveFor)
		if err != nil {
			return nil, err
		}
		left, err := bus.Depth(ctx, eventbus.Unrouted)
		if err != nil {
			return nil, err
		}
		return &redrivenOutput{RedrivenUnrouted{Published: done.Published, Malformed: done.Malformed, Left: left}}, nil
	})
}

var errEnoughForNow = errors.New("enough for one request")

// redriveWithin is [eventbus.Redrive] for a while; running out of time is no
// error.
func redriveWithin(ctx context.Context, bus eventbus.Bus, perSecond int, limit time.Duration) (eventbus.Redriven, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, limit, errEnoughForNow)
	defer cancel()
	done, err := eventbus.Redrive(ctx, bus, perSecond)
	if errors.Is(context.Cause(ctx), errEnoughForNow) {
		return done, nil
	}
	return done, err
}
