package deadletters

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"orderflow/cmd/orderflow/internal/client"
)

// Decision is what is to happen to letters.
type Decision struct {
	// Done is its name in the past tense, as it is reported.
	Done string
	do   func(*client.Client, context.Context, Letter) error
}

// Redriven has letters tried again.
func Redriven() Decision {
	return Decision{"redriven", func(c *client.Client, ctx context.Context, l Letter) error { return c.Redrive(ctx, l.Service, l.ID) }}
}

// Discarded gives letters up for good.
func Discarded() Decision {
	return Decision{"discarded", func(c *client.Client, ctx context.Context, l Letter) error { return c.Discard(ctx, l.Service, l.ID) }}
}

// Carry carries a decision out, oldest letter first, no more than perSecond letters a second, and tells of each one as
// soon as it is done. A letter that somebody else has dealt with meanwhile is told as gone. One that cannot be dealt
// with keeps nobody from the others; the error counts them. ctx ends the work between two letters.
func (d Desk) Carry(ctx context.Context, decision Decision, letters []Letter, perSecond int, tell func(Letter, string)) (done int, err error) {
	pause := time.NewTicker(time.Second / time.Duration(perSecond))
	defer pause.Stop()
	failed := 0
	for i, letter := range slices.Backward(letters) {
		err := decision.do(d.Client, ctx, letter)
		switch {
		case err == nil:
			done++
			tell(letter, decision.Done)
		case client.IsNotFound(err):
			tell(letter, "gone: somebody has dealt with it")
		default:
			failed++
			tell(letter, "not "+decision.Done+": "+inOneLine(letter.Service, err).Error())
		}
		if i == 0 {
			break
		}
		select {
		case <-pause.C:
		case <-ctx.Done():
			return done, fmt.Errorf("stopped before %d of %d: %w", i, len(letters), context.Cause(ctx))
		}
	}
	if failed > 0 {
		return done, fmt.Errorf("%d of %d were not %s", failed, len(letters), decision.Done)
	}
	return done, nil
}

// ErrNoBus says that no service could be asked about the events that nobody had subscribed to.
var ErrNoBus = errors.New("no service that has the event bus answers")

// Unrouted counts the events that nobody had subscribed to when they were published. The first service that can tell is
// asked: it is one bus.
func (d Desk) Unrouted(ctx context.Context) (int, error) {
	_, events, err := d.withBus(ctx)
	return events, err
}

func (d Desk) withBus(ctx context.Context) (service string, events int, err error) {
	for _, service := range d.Services {
		events, err := d.Client.Unrouted(ctx, service)
		if err == nil {
			return service, events, nil
		}
	}
	return "", 0, ErrNoBus
}

// RedriveUnrouted publishes the events once more that nobody had subscribed to, those that are there at the beginning, no
// more than perSecond a second. What it returns is of all requests together; among what is left are those that found no
// queue again. tell hears how many were published so far.
func (d Desk) RedriveUnrouted(ctx context.Context, perSecond int, tell func(published int)) (client.RedrivenUnrouted, error) {
	service, events, err := d.withBus(ctx)
	if err != nil {
		return client.RedrivenUnrouted{}, err
	}
	all := client.RedrivenUnrouted{Left: events}
	for all.Published+all.Malformed < events {
		done, err := d.Client.RedriveUnrouted(ctx, service, perSecond)
		if err != nil {
			return all, inOneLine(service, err)
		}
		all.Published, all.Malformed, all.Left = all.Published+done.Published, all.Malformed+done.Malformed, done.Left
		if done.Published+done.Malformed == 0 {
			return all, fmt.Errorf("%d of %d were published: nothing moves, is another redrive running?", all.Published, events)
		}
		tell(all.Published)
	}
	return all, nil
}
