package main

import (
	"context"
	"fmt"
	"time"

	"orderflow/cmd/orderflow/internal/datadir"
	"orderflow/cmd/orderflow/internal/embedded"
	"orderflow/cmd/orderflow/internal/stack"
	"orderflow/pkg/es"
)

type runCommand struct{ dataFlag }

// Run runs the system until ctx ends. A line on standard output says when every service is ready, and where they are.
func (c *runCommand) Run(ctx context.Context, term terminal) error {
	claim, err := c.dir().Claim()
	if err != nil {
		return err
	}
	defer claim.Release()
	plan, err := embedded.NewPlan(ctx, c.dir(), term.Environ)
	if err != nil {
		return err
	}
	state := datadir.State{
		Stack: datadir.Embedded, StartedAt: time.Now().UTC(), URLs: plan.URLs, EventStore: es.Redacted(plan.EventStoreURL),
	}
	if err := claim.Announce(state); err != nil {
		return err
	}
	if term.Environ["DATABASE_URL"] != "" {
		fmt.Fprintln(term.Err, "orderflow: DATABASE_URL is not used here, as each service has a database of its own: set DATABASE_URL_ORDER and so on")
	}
	watching, stopWatching := context.WithCancel(ctx)
	watched := make(chan struct{})
	go func() {
		defer close(watched)
		if stack.WaitReady(watching, plan.URLs, nil, func(string) {}) == nil {
			fmt.Fprintf(term.Out, "ready: every service works (data in %s)\n", c.Data)
			writeAddresses(term.Out, state)
		}
	}()
	err = plan.Run(ctx, term.Err)
	stopWatching()
	<-watched
	return err
}
