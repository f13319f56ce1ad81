package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"orderflow/cmd/orderflow/internal/client"
	"orderflow/cmd/orderflow/internal/replays"
)

// replayCommand is history told again to one consumer.
type replayCommand struct {
	Begin  beginReplay  `cmd:"" default:"withargs" help:"Have every publishing service tell one consumer what it has announced so far, or go on with that."`
	Status statusReplay `cmd:"" help:"Show the replays."`
	Resume resumeReplay `cmd:"" help:"Go on with replays that are paused or have failed, and watch them."`
	Cancel cancelReplay `cmd:"" help:"End replays that have not ended. What has arrived stays."`
}

// conductor finds the services.
func (w whichServices) conductor() (replays.Conductor, error) {
	desk, err := whichServices{dataFlag: w.dataFlag, URL: w.URL}.desk()
	if err != nil {
		return replays.Conductor{}, err
	}
	asked := desk.Services
	if len(w.Service) > 0 {
		only, err := w.desk()
		if err != nil {
			return replays.Conductor{}, err
		}
		asked = only.Services
	}
	return replays.Conductor{Client: desk.Client, Services: asked, Consumers: desk.Services}, nil
}

type beginReplay struct {
	whichServices
	To     string `help:"The consumer: the name of its queue, which is that of its service." required:"" placeholder:"SERVICE"`
	From   string `help:"Leave out what happened before this time (2006-01-02 or RFC 3339); or, with one --service, begin behind this position of its history." placeholder:"TIME|POSITION"`
	Rate   int64  `help:"At most so many events a second from each service." placeholder:"N"`
	Detach bool   `help:"Do not watch."`
}

// wish reads the flags.
func (c *beginReplay) wish() (client.ReplayWish, error) {
	wish := client.ReplayWish{To: c.To, Rate: c.Rate}
	if c.Rate < 0 {
		return wish, errors.New("--rate: less than nothing a second")
	}
	if c.From == "" {
		return wish, nil
	}
	if position, err := strconv.ParseInt(c.From, 10, 64); err == nil {
		if len(c.Service) != 1 || position < 0 {
			return wish, errors.New("--from: a position is that of one service, from 0: name it with --service")
		}
		wish.After = position
		return wish, nil
	}
	for _, form := range []string{time.DateOnly, time.RFC3339Nano} {
		if since, err := time.Parse(form, c.From); err == nil {
			wish.Since = since
			return wish, nil
		}
	}
	return wish, fmt.Errorf("--from: %q is neither a day (2006-01-02), nor a time (2006-01-02T15:04:05Z), nor a position", c.From)
}

// Run begins replays, or goes on with those that are open, and watches them to their end.
func (c *beginReplay) Run(ctx context.Context, term terminal) error {
	wish, err := c.wish()
	if err != nil {
		return err
	}
	conductor, err := c.conductor()
	if err != nil {
		return err
	}
	defer conductor.Client.Close()
	begun, err := conductor.Begin(ctx, wish)
	switch {
	case err != nil && ctx.Err() != nil && len(begun) > 0:
		return interrupted(ctx, term, conductor, begun, cancelOf(c.To))
	case err != nil && len(begun) > 0:
		return fmt.Errorf("begun with %d services, and the same command goes on: %w", len(begun), err)
	case err != nil:
		return err
	}
	if c.Detach {
		showReplays(term, begun)
		return nil
	}
	return watchReplays(ctx, term, conductor, begun, cancelOf(c.To))
}

// cancelOf is the command that gives replays up.
func cancelOf(to string) string { return "orderflow replay cancel --to " + to }

type statusReplay struct {
	whichServices
	To   string `help:"Only the newest to this consumer." placeholder:"SERVICE"`
	JSON bool   `name:"json" help:"One JSON object a line, instead of text."`
}

// Run shows replays.
func (c *statusReplay) Run(ctx context.Context, term terminal) error {
	conductor, err := c.conductor()
	if err != nil {
		return err
	}
	defer conductor.Client.Close()
	found, err := conductor.Newest(ctx, c.To)
	if err != nil {
		return err
	}
	if c.JSON {
		lines := json.NewEncoder(term.Out)
		for _, replay := range found {
			if err := lines.Encode(replay); err != nil {
				return err
			}
		}
		return nil
	}
	if len(found) == 0 {
		fmt.Fprintln(term.Out, "no replays")
	}
	showReplays(term, found)
	return nil
}

// changeReplay are the newest replays of each service to a consumer that have not ended for good.
type changeReplay struct {
	whichServices
	To string `help:"The consumer." required:"" placeholder:"SERVICE"`
}

// change has them resume or cancel. Whoever calls it closes the client, if there is no error.
func (c changeReplay) change(ctx context.Context, verb string) (replays.Conductor, []client.Replay, error) {
	conductor, err := c.conductor()
	if err != nil {
		return conductor, nil, err
	}
	found, err := toBeChanged(ctx, conductor, c.To)
	if err == nil {
		found, err = conductor.Change(ctx, found, verb)
	}
	if err != nil {
		conductor.Client.Close()
	}
	return conductor, found, err
}

type resumeReplay struct{ changeReplay }

// Run goes on with replays.
func (c *resumeReplay) Run(ctx context.Context, term terminal) error {
	conductor, found, err := c.change(ctx, "resume")
	if err != nil {
		return err
	}
	defer conductor.Client.Close()
	return watchReplays(ctx, term, conductor, found, cancelOf(c.To))
}

type cancelReplay struct{ changeReplay }

// Run ends replays.
func (c *cancelReplay) Run(ctx context.Context, term terminal) error {
	conductor, found, err := c.change(ctx, "cancel")
	showReplays(term, found)
	if err != nil {
		return err
	}
	conductor.Client.Close()
	return nil
}

// toBeChanged returns the newest replay of each service to a consumer that is open, or has failed and could go on.
func toBeChanged(ctx context.Context, conductor replays.Conductor, to string) ([]client.Replay, error) {
	all, err := conductor.Newest(ctx, to)
	if err != nil {
		return nil, err
	}
	var found []client.Replay
	for _, replay := range all {
		if replay.Open() || replay.Status == "failed" {
			found = append(found, replay)
		}
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("no replay to %q is open", to)
	}
	return found, nil
}

const (
	// lookEvery is how often replays are looked at, and tellEvery how often progress is told.
	lookEvery = 200 * time.Millisecond
	tellEvery = 2 * time.Second
)

// watchReplays tells how replays get on until they end. Whoever interrupts it pauses them, and is told the command that
// gives them up.
func watchReplays(ctx context.Context, term terminal, conductor replays.Conductor, running []client.Replay, giveUp string) error {
	told := time.Now()
	last, err := conductor.Watch(ctx, running, lookEvery, func(now []client.Replay) {
		if time.Since(told) >= tellEvery {
			told = time.Now()
			showReplays(term, now)
		}
	})
	if ctx.Err() != nil {
		return interrupted(ctx, term, conductor, last, giveUp)
	}
	showReplays(term, last)
	return err
}

// interrupted pauses the replays that run.
func interrupted(ctx context.Context, term terminal, conductor replays.Conductor, list []client.Replay, giveUp string) error {
	running := slices.DeleteFunc(slices.Clone(list), func(r client.Replay) bool { return r.Status != "running" })
	pausing, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	paused, err := conductor.Change(pausing, running, "pause")
	showReplays(term, paused)
	if err != nil {
		return fmt.Errorf("interrupted; what could not be paused goes on by itself: %w", err)
	}
	return fmt.Errorf("interrupted, and paused: the same command goes on, %s gives it up", giveUp)
}

func showReplays(term terminal, list []client.Replay) {
	var text strings.Builder
	for _, replay := range list {
		fmt.Fprintln(&text, replays.Describe(replay))
	}
	fmt.Fprint(term.Out, text.String())
}
