package replays

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"orderflow/cmd/orderflow/internal/client"
)

// Conductor talks to the services.
type Conductor struct {
	Client *client.Client
	// Services are those that are asked whether they publish.
	Services []string
	// Consumers are the services that may have a queue, for saying which there are.
	Consumers []string
}

// ErrNobody says that no consumer is called like that.
var ErrNobody = errors.New("no such consumer")

// Publishers returns the services that have a history to tell. All have to answer: half a history is none.
func (c Conductor) Publishers(ctx context.Context) ([]string, error) {
	var publishers []string
	for _, service := range c.Services {
		_, err := c.Client.Replays(ctx, service)
		switch {
		case client.IsNotFound(err):
		case err != nil:
			return nil, err
		default:
			publishers = append(publishers, service)
		}
	}
	if len(publishers) == 0 {
		return nil, fmt.Errorf("none of %s publishes", strings.Join(c.Services, ", "))
	}
	return publishers, nil
}

// Begin has every publisher tell the consumer its history, or go on with it. Nothing has begun when there is no such
// consumer ([ErrNobody], with those that are known) or a publisher does not answer.
func (c Conductor) Begin(ctx context.Context, wish client.ReplayWish) ([]client.Replay, error) {
	publishers, err := c.Publishers(ctx)
	if err != nil {
		return nil, fmt.Errorf("nothing was begun: %w", err)
	}
	if _, err := c.Client.Waiting(ctx, publishers[0], wish.To); err != nil {
		if client.IsNotFound(err) {
			err = fmt.Errorf("%w as %q; known are %s. A new one starts first, so that it has a queue", ErrNobody, wish.To, c.known(ctx, publishers[0]))
		}
		return nil, fmt.Errorf("nothing was begun: %w", err)
	}
	var begun []client.Replay
	for _, publisher := range publishers {
		replay, err := c.Client.BeginReplay(ctx, publisher, wish)
		if err != nil {
			return begun, err
		}
		begun = append(begun, replay)
	}
	return begun, nil
}

// known lists the consumers that have a queue.
func (c Conductor) known(ctx context.Context, publisher string) string {
	var known []string
	for _, consumer := range c.Consumers {
		if _, err := c.Client.Waiting(ctx, publisher, consumer); err == nil {
			known = append(known, consumer)
		}
	}
	if len(known) == 0 {
		return "none"
	}
	return strings.Join(known, ", ")
}

// Newest returns the newest replay of each service to a consumer; an empty name means any consumer, and then all of them.
func (c Conductor) Newest(ctx context.Context, to string) ([]client.Replay, error) {
	publishers, err := c.Publishers(ctx)
	if err != nil {
		return nil, err
	}
	var newest []client.Replay
	for _, publisher := range publishers {
		all, err := c.Client.Replays(ctx, publisher)
		if err != nil {
			return nil, err
		}
		for _, replay := range all {
			if to == "" {
				newest = append(newest, replay)
			} else if replay.To == to {
				newest = append(newest, replay)
				break
			}
		}
	}
	return newest, nil
}

// Change has replays pause, resume or cancel.
func (c Conductor) Change(ctx context.Context, replays []client.Replay, verb string) ([]client.Replay, error) {
	changed := make([]client.Replay, len(replays))
	var failed []error
	for i, replay := range replays {
		var err error
		if changed[i], err = c.Client.ChangeReplay(ctx, replay, verb); err != nil {
			failed = append(failed, err)
			changed[i] = replay
		}
	}
	return changed, errors.Join(failed...)
}

// Watch looks at replays until none of them runs, or ctx ends, and hands what it sees to show. A service that does not
// answer for a while is asked again: it goes on when it is back. It returns an error when one of them has failed.
func (c Conductor) Watch(ctx context.Context, replays []client.Replay, every time.Duration, show func([]client.Replay)) ([]client.Replay, error) {
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		for i, replay := range replays {
			now, err := c.Client.Replay(ctx, replay.Service, replay.ReplayID)
			if _, away := client.IsUnreachable(err); err != nil && !away && ctx.Err() == nil && client.IsNotFound(err) {
				return replays, err
			}
			if err == nil {
				replays[i] = now
			} else {
				replays[i].Reason = replay.Service + " does not answer"
			}
		}
		show(replays)
		if !slices.ContainsFunc(replays, func(r client.Replay) bool { return r.Status == "running" }) {
			return replays, failure(replays)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return replays, ctx.Err()
		}
	}
}

func failure(replays []client.Replay) error {
	var failed []error
	for _, r := range replays {
		if r.Status == "failed" {
			failed = append(failed, fmt.Errorf("%s to %s: %s", r.Service, r.To, r.Reason))
		}
	}
	return errors.Join(failed...)
}

// Describe is one line about a replay.
func Describe(r client.Replay) string {
	line := fmt.Sprintf("%-10s to %-12s %-9s %3.0f%%  %d sent", r.Service, r.To, r.Status, r.Progress*100, r.Sent)
	if r.PerSecond > 0 {
		line += fmt.Sprintf(", %.0f a second", r.PerSecond)
	}
	if r.Status == "running" && r.LeftSeconds > 0 {
		line += fmt.Sprintf(", %s left", time.Duration(r.LeftSeconds*float64(time.Second)).Round(time.Second))
	}
	if r.Reason != "" {
		line += " (" + r.Reason + ")"
	}
	return line
}
