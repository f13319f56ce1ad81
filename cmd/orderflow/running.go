package main

import (
	"context"
	"errors"
	"fmt"
	"time"

	"orderflow/cmd/orderflow/internal/datadir"
	"orderflow/cmd/orderflow/internal/embedded"
	"orderflow/cmd/orderflow/internal/stack"
)

// stopPatience is how long a system may take to stop.
const stopPatience = 45 * time.Second

var errNotUp = errors.New("nothing is up: make up (or orderflow up) starts it")

// runningState returns what runs for a data directory; up is false when nothing does. Containers hold no lock: that they
// were started and not stopped is all that is known of them here.
func runningState(dir datadir.Dir) (state datadir.State, up bool, err error) {
	pid, err := dir.Runner() // first: once it names a process, what is announced is that one's
	if err != nil {
		return state, false, err
	}
	state, announced, err := dir.State()
	return state, announced && (pid != 0 || state.Stack == datadir.Docker), err
}

// stopRunning stops what runs, on either stack, and reports whether anything did. With data it removes the containers'
// data too.
func stopRunning(ctx context.Context, term terminal, dir datadir.Dir, data bool) (bool, error) {
	state, _, err := dir.State()
	if err != nil {
		return false, err
	}
	if state.Stack == datadir.Docker {
		docker := stack.Compose{File: stack.ComposeFile, Out: term.Err}
		if err := docker.Down(ctx, data); err != nil {
			return true, err
		}
		return true, dir.Forget()
	}
	pid, err := dir.Runner()
	if err != nil || pid == 0 {
		return false, err
	}
	fmt.Fprintf(term.Out, "stopping process %d\n", pid)
	ctx, cancel := context.WithTimeout(ctx, stopPatience)
	defer cancel()
	return true, stack.Background{Dir: dir}.Stop(ctx)
}

type downCommand struct{ dataFlag }

// Run stops what up started.
func (c *downCommand) Run(ctx context.Context, term terminal) error {
	stopped, err := stopRunning(ctx, term, c.dir(), false)
	switch {
	case err != nil:
		return err
	case stopped:
		fmt.Fprintf(term.Out, "stopped; the data stays (make clean removes it)\n")
	default:
		fmt.Fprintln(term.Out, "nothing was up")
	}
	return nil
}

type cleanCommand struct{ dataFlag }

// Run stops what up started and removes its data. It refuses to touch a folder that holds anything else.
func (c *cleanCommand) Run(ctx context.Context, term terminal) error {
	if err := c.dir().Check(); err != nil {
		return err
	}
	if _, err := stopRunning(ctx, term, c.dir(), true); err != nil {
		return err
	}
	if err := c.dir().Remove(); err != nil {
		return err
	}
	fmt.Fprintf(term.Out, "removed %s\n", c.Data)
	return nil
}

type statusCommand struct{ dataFlag }

// Run says what each service says of itself. It fails when not all of them are ready.
func (c *statusCommand) Run(ctx context.Context, term terminal) error {
	state, up, err := runningState(c.dir())
	if err != nil {
		return err
	}
	if !up {
		return errNotUp
	}
	fmt.Fprintf(term.Out, "%s, data in %s, since %s\n", state.Stack, c.Data, state.StartedAt.Format(time.RFC3339))
	answers, unready := stack.Ask(ctx, state.URLs), 0
	for _, name := range embedded.Names() {
		word := "ready"
		if !answers[name].Ready {
			word = "not ready: " + answers[name].Reason
			unready++
		}
		fmt.Fprintf(term.Out, "  %-11s %-24s %s\n", name, state.URLs[name], word)
	}
	if unready > 0 {
		return fmt.Errorf("%d of %d services are not ready", unready, len(state.URLs))
	}
	return nil
}

type logsCommand struct {
	dataFlag
	Follow bool `short:"f" help:"Go on with what is added, until interrupted."`
}

// Run shows the log.
func (c *logsCommand) Run(ctx context.Context, term terminal) error {
	state, _, err := c.dir().State()
	if err != nil {
		return err
	}
	if state.Stack == datadir.Docker {
		return stack.Compose{File: stack.ComposeFile, Out: term.Out}.Logs(ctx, c.Follow)
	}
	return stack.Background{Dir: c.dir()}.Logs(ctx, term.Out, c.Follow)
}
