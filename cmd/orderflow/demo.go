package main

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"orderflow/cmd/orderflow/internal/client"
	"orderflow/cmd/orderflow/internal/datadir"
	"orderflow/cmd/orderflow/internal/demo"
)

type demoCommand struct {
	dataFlag
	Fresh    bool          `help:"On a system of its own, also when one is up."`
	Patience time.Duration `help:"How long one step may take." default:"20s"`
}

// impatience has a system that was made for the story miss the first order that nobody packs after seconds.
func impatience() map[string]string {
	return map[string]string{"ORDER_PACK_WITHIN": "3s", "ORDER_CANCEL_UNPACKED_AFTER": "6s", "ORDER_DEADLINES_REST": "0s"}
}

// Run tells the story. It fails when something does not happen in time.
func (c *demoCommand) Run(ctx context.Context, term terminal) error {
	return onSystem(ctx, term, c.dir(), c.Fresh, impatience(), func(ctx context.Context, state datadir.State) error {
		services := client.New(state.URLs, 1)
		defer services.Close()
		began := time.Now()
		teller := demo.Teller{
			Client: services, Out: term.Out, Patience: c.Patience,
			Suffix: strconv.FormatInt(began.UnixMilli(), 36),
		}
		if err := teller.Tell(ctx); err != nil {
			return err
		}
		fmt.Fprintf(term.Out, "\nAll of it happened, in %.1f s.\n", time.Since(began).Seconds())
		return nil
	})
}
