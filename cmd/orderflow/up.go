package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"orderflow/cmd/orderflow/internal/datadir"
	"orderflow/cmd/orderflow/internal/embedded"
	"orderflow/cmd/orderflow/internal/stack"
)

type upCommand struct {
	dataFlag
	Stack  string        `help:"docker, embedded, or auto: docker when an engine answers and its images can be had. STACK says the same." enum:"auto,docker,embedded," default:""`
	Wait   bool          `help:"Wait until every service is ready." default:"true" negatable:""`
	Within time.Duration `help:"How long to wait." default:"2m"`
}

// Run starts the system and returns when it is ready.
func (c *upCommand) Run(ctx context.Context, term terminal) error {
	running, err := c.alreadyUp(ctx, term)
	if running || err != nil {
		return err
	}
	forced, err := c.forced(term.Environ)
	if err != nil {
		return err
	}
	docker := stack.Compose{File: stack.ComposeFile, Out: term.Err}
	choice, err := stack.Choose(ctx, forced, docker)
	if err != nil {
		return err
	}
	fmt.Fprintf(term.Out, "stack: %s (%s)\n", choice.Stack, choice.Reason)
	if choice.Stack == datadir.Docker {
		return c.upDocker(ctx, term, docker)
	}
	return c.upEmbedded(ctx, term)
}

// forced is the stack that the flag or else STACK names; empty is auto.
func (c *upCommand) forced(environ map[string]string) (string, error) {
	named := c.Stack
	if named == "" {
		named = environ["STACK"]
	}
	switch named {
	case datadir.Docker, datadir.Embedded:
		return named, nil
	case "auto", "":
		return "", nil
	}
	return "", fmt.Errorf("STACK: %q is none of docker, embedded and auto", named)
}

// alreadyUp reports whether the system is up, and says so. One that is only just starting is waited for.
func (c *upCommand) alreadyUp(ctx context.Context, term terminal) (bool, error) {
	state, up, err := runningState(c.dir())
	if err != nil || !up {
		return false, err
	}
	fmt.Fprintf(term.Out, "already up: %s, data in %s\n", state.Stack, c.Data)
	if c.Wait {
		if err := c.waitReady(ctx, term, state, nil); err != nil {
			return true, fmt.Errorf("it is up, but %w", err)
		}
	}
	writeAddresses(term.Out, state)
	return true, nil
}

func (c *upCommand) upDocker(ctx context.Context, term terminal, docker stack.Compose) error {
	state := datadir.State{Stack: datadir.Docker, StartedAt: time.Now().UTC(), URLs: publishedURLs(term.Environ)}
	if err := c.dir().Announce(state); err != nil { // first, so that down finds containers that did not become healthy
		return err
	}
	if err := docker.Up(ctx, c.Wait); err != nil {
		return fmt.Errorf("%w (make logs shows why, make down stops what did start)", err)
	}
	return c.finish(ctx, term, state, nil)
}

func (c *upCommand) upEmbedded(ctx context.Context, term terminal) error {
	background := stack.Background{Dir: c.dir()}
	// Asked here too, for an answer on this terminal instead of in the log.
	if _, err := embedded.NewPlan(ctx, c.dir(), term.Environ); err != nil {
		return err
	}
	if err := c.dir().Check(); err != nil {
		return err
	}
	pid, ended, err := background.Start(ctx, term.Environ)
	if err != nil {
		return err
	}
	fmt.Fprintf(term.Out, "started process %d, log in %s\n", pid, c.dir().Log())
	state, err := c.announced(ctx, ended)
	if err == nil {
		err = c.finish(ctx, term, state, ended)
	}
	if err == nil {
		return nil
	}
	fmt.Fprintf(term.Err, "the last lines of %s:\n%s\n", c.dir().Log(), background.Tail(20))
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopPatience)
	defer cancel()
	if stopErr := background.Stop(stopping); stopErr != nil {
		return fmt.Errorf("%w; and then: %w", err, stopErr)
	}
	return err
}

// announced waits until the process that was started has said where its services answer: with port 0 in a setting only
// that process knows.
func (c *upCommand) announced(ctx context.Context, ended <-chan error) (datadir.State, error) {
	ctx, cancel := context.WithTimeout(ctx, c.Within)
	defer cancel()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	for {
		state, up, err := runningState(c.dir())
		if err != nil || up {
			return state, err
		}
		select {
		case <-ticker.C:
		case err := <-ended:
			return state, fmt.Errorf("ended before it was ready: %w", err)
		case <-ctx.Done():
			return state, fmt.Errorf("not started: %w", context.Cause(ctx))
		}
	}
}

// finish waits for a system that was started and says where it is.
func (c *upCommand) finish(ctx context.Context, term terminal, state datadir.State, ended <-chan error) error {
	if c.Wait {
		if err := c.waitReady(ctx, term, state, ended); err != nil {
			return err
		}
	}
	writeAddresses(term.Out, state)
	writeFirstSteps(term.Out, state)
	return nil
}

func (c *upCommand) waitReady(ctx context.Context, term terminal, state datadir.State, ended <-chan error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, c.Within, fmt.Errorf("gave up after %s", c.Within))
	defer cancel()
	began := time.Now()
	err := stack.WaitReady(ctx, state.URLs, ended, func(name string) {
		fmt.Fprintf(term.Out, "  %-11s ready after %.1f s\n", name, time.Since(began).Seconds())
	})
	if err != nil {
		return err
	}
	fmt.Fprintln(term.Out, "every service is ready")
	return nil
}

// publishedURLs are the addresses at which the containers' ports are published; ORDER_PORT and its siblings move them,
// as in the compose file.
func publishedURLs(environ map[string]string) map[string]string {
	urls := map[string]string{}
	for name, addr := range embedded.DefaultAddrs() {
		host, port, err := net.SplitHostPort(addr)
		if err != nil {
			panic(err) // written by us
		}
		if set := environ[embedded.Variable(name, "PORT")]; set != "" {
			port = set
		}
		urls[name] = "http://" + net.JoinHostPort(host, port)
	}
	return urls
}
