package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"orderflow/cmd/orderflow/internal/client"
	"orderflow/cmd/orderflow/internal/replays"
)

// rebuildCommand makes a read model anew beside the live one.
type rebuildCommand struct {
	dataFlag
	URL     map[string]string `help:"Where a service answers, in place of the system that is up; may be repeated." placeholder:"NAME=URL"`
	Service string            `arg:"" help:"The service whose read model it is: order (its list, and its copies of customers and products), dispatch (its copies of customers), reporting or crm."`
	Check   bool              `help:"Compare the new model with the live one, and give it up: nothing is changed." xor:"end"`
	Anyway  bool              `help:"Swap even if they differ, as when the live one is known to be wrong." xor:"end"`
	Cancel  bool              `help:"Give a rebuild up that was begun before." xor:"end"`
	Status  bool              `help:"Show how far the last rebuild is, and begin none." xor:"end"`
	Rate    int64             `help:"At most so many events a second from each service that has history to tell." placeholder:"N"`
}

// errDiffers says that the models are not the same.
var errDiffers = errors.New("the live model differs from the new one")

// Run begins a rebuild, or goes on with the one there is, and leads it to its end. Interrupted, everything stays where it
// is: the same command goes on.
func (c *rebuildCommand) Run(ctx context.Context, term terminal) error {
	conductor, err := whichServices{dataFlag: c.dataFlag, URL: c.URL}.conductor()
	if err != nil {
		return err
	}
	defer conductor.Client.Close()
	if !slices.Contains(conductor.Services, c.Service) {
		return fmt.Errorf("there is no service %q among %s", c.Service, strings.Join(conductor.Services, ", "))
	}
	switch {
	case c.Cancel:
		return c.giveUp(ctx, term, conductor)
	case c.Status:
		return c.show(ctx, term, conductor)
	}
	begun, err := c.begin(ctx, conductor.Client, term)
	if err != nil {
		return c.refused(err)
	}
	state, err := c.until(ctx, conductor.Client, term, "preparing")
	if err != nil {
		return err
	}
	if state.ReplayTo != "" && state.Asked == "" { // who has asked for its end had told it history before
		if err := c.replay(ctx, term, conductor, state.ReplayTo); err != nil {
			return err
		}
	}
	return c.finish(ctx, term, conductor, begun)
}

// begin begins a rebuild, once what another one has left is removed.
func (c *rebuildCommand) begin(ctx context.Context, services *client.Client, term terminal) (client.Rebuild, error) {
	begun, err := services.BeginRebuild(ctx, c.Service)
	for isNotNow(err) {
		if _, err := c.until(ctx, services, term, "removing", "cancelling"); err != nil {
			return begun, err
		}
		begun, err = services.BeginRebuild(ctx, c.Service)
	}
	return begun, err
}

func isNotNow(err error) bool {
	problem, ok := errors.AsType[*client.Problem](err)
	return ok && strings.HasSuffix(problem.Type, "rebuild-not-now")
}

// swappedAlready says that the swap was made while this command was on its way to ask for it: whoever began the rebuild
// had asked before, and the service goes on by itself.
func (c *rebuildCommand) swappedAlready(ctx context.Context, services *client.Client, begun client.Rebuild) bool {
	now, err := services.Rebuild(ctx, c.Service)
	return err == nil && now.BegunAt.Equal(begun.BegunAt) && (now.Status == "removing" || now.Status == "swapped")
}

// refused is what a service says that does not do what is asked for, in words for people.
func (c *rebuildCommand) refused(err error) error {
	if problem, ok := errors.AsType[*client.Problem](err); ok && problem.Status == 409 {
		return errors.New(problem.Detail)
	}
	if client.IsNotFound(err) {
		return fmt.Errorf("%s has no read model to rebuild", c.Service)
	}
	return err
}

// replay has history told to the new model.
func (c *rebuildCommand) replay(ctx context.Context, term terminal, conductor replays.Conductor, to string) error {
	begun, err := conductor.Begin(ctx, client.ReplayWish{To: to, Rate: c.Rate})
	if err != nil {
		return err
	}
	return watchReplays(ctx, term, conductor, begun, "orderflow rebuild "+c.Service+" --cancel")
}

// finish compares and swaps, as was asked for.
func (c *rebuildCommand) finish(ctx context.Context, term terminal, conductor replays.Conductor, begun client.Rebuild) error {
	ask := "swap"
	switch {
	case c.Check:
		ask = "check"
	case c.Anyway:
		ask = "anyway"
	}
	if _, err := conductor.Client.FinishRebuild(ctx, c.Service, ask); err != nil {
		if c.Check || !c.swappedAlready(ctx, conductor.Client, begun) {
			return c.refused(err)
		}
	}
	state, err := c.until(ctx, conductor.Client, term, "filling", "removing")
	if err != nil {
		return err
	}
	for _, d := range state.Differences {
		fmt.Fprintf(term.Out, "%s %s %s\n", d.Table, d.Key, d.What)
	}
	fmt.Fprintf(term.Out, "%d rows compared, %d differ\n", state.Compared, len(state.Differences))
	switch {
	case c.Check:
		if _, err := conductor.Client.CancelRebuild(ctx, c.Service); err != nil {
			return err
		}
		if _, err := c.until(ctx, conductor.Client, term, "cancelling"); err != nil {
			return err
		}
		if state.Status == "differs" {
			return errDiffers
		}
	case state.Status == "differs":
		return fmt.Errorf("%w, and was left as it is: orderflow rebuild %s --anyway swaps them, --cancel gives the new one up", errDiffers, c.Service)
	default:
		fmt.Fprintf(term.Out, "the read model of %s is the new one\n", c.Service)
	}
	return nil
}

// show tells how far the rebuild is, and the replays to it.
func (c *rebuildCommand) show(ctx context.Context, term terminal, conductor replays.Conductor) error {
	state, err := conductor.Client.Rebuild(ctx, c.Service)
	if err != nil {
		return c.refused(err)
	}
	line := c.Service + ": " + state.Status
	if state.Reason != "" {
		line += " (" + state.Reason + ")"
	}
	fmt.Fprintf(term.Out, "%s; %d rows compared, %d differ\n", line, state.Compared, len(state.Differences))
	if state.ReplayTo == "" || state.Status == "none" {
		return nil
	}
	told, err := conductor.Newest(ctx, state.ReplayTo)
	if err != nil {
		return err
	}
	showReplays(term, told)
	return nil
}

// giveUp cancels the rebuild, and the replays to it.
func (c *rebuildCommand) giveUp(ctx context.Context, term terminal, conductor replays.Conductor) error {
	state, err := conductor.Client.Rebuild(ctx, c.Service)
	if err != nil {
		return c.refused(err)
	}
	if state.ReplayTo != "" {
		if open, err := toBeChanged(ctx, conductor, state.ReplayTo); err == nil {
			if _, err := conductor.Change(ctx, open, "cancel"); err != nil {
				return err
			}
		}
	}
	if _, err := conductor.Client.CancelRebuild(ctx, c.Service); err != nil {
		return c.refused(err)
	}
	if _, err := c.until(ctx, conductor.Client, term, "cancelling"); err != nil {
		return err
	}
	fmt.Fprintf(term.Out, "the rebuild of %s is given up\n", c.Service)
	return nil
}

// until waits for as long as the rebuild has one of the statuses, and tells what it waits for.
func (c *rebuildCommand) until(ctx context.Context, services *client.Client, term terminal, statuses ...string) (client.Rebuild, error) {
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	told := time.Now()
	for {
		state, err := services.Rebuild(ctx, c.Service)
		if _, away := client.IsUnreachable(err); err != nil && (!away || ctx.Err() != nil) {
			return state, err
		}
		if err == nil && !slices.Contains(statuses, state.Status) {
			return state, nil
		}
		if state.Reason != "" && time.Since(told) >= tellEvery {
			told = time.Now()
			fmt.Fprintf(term.Out, "%s: %s\n", state.Status, state.Reason)
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return state, fmt.Errorf("interrupted: the rebuild of %s goes on by itself, and the same command goes on with it", c.Service)
		}
	}
}
