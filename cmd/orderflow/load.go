package main

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"orderflow/cmd/orderflow/internal/client"
	"orderflow/cmd/orderflow/internal/datadir"
	"orderflow/cmd/orderflow/internal/load"
)

type loadCommand struct {
	dataFlag
	Fresh    bool          `help:"On a system of its own, also when one is up."`
	Real     bool          `help:"On a system of its own, on RabbitMQ and PostgreSQL: those of EVENTBUS_URL and POSTGRES_URL, or of this machine."`
	Rate     int           `help:"Orders a second, whether or not earlier ones have been answered." xor:"how" required:""`
	Duration time.Duration `help:"How long to keep up the rate." default:"20s"`
	Clients  int           `help:"Clients that each place an order when their last one was answered." xor:"how" required:""`
	Orders   int           `help:"How many orders the clients place together." default:"5000"`
	Patience time.Duration `help:"How long the read models may take to catch up." default:"2m"`
}

// check refuses numbers that measure nothing.
func (c *loadCommand) check() error {
	const most = 10_000
	switch {
	case c.Rate < 0 || c.Rate > most, c.Clients < 0 || c.Clients > most, c.Rate+c.Clients == 0:
		return fmt.Errorf("--rate and --clients are from 1 to %d", most)
	case c.Orders < 1:
		return errors.New("--orders is at least 1")
	case c.Duration < time.Second:
		return errors.New("--duration is at least 1s")
	}
	return nil
}

// Run measures and prints a table.
func (c *loadCommand) Run(ctx context.Context, term terminal) error {
	if err := c.check(); err != nil {
		return err
	}
	if c.Real {
		return onRealServers(ctx, term, func(ctx context.Context, state datadir.State) error { return c.measure(ctx, term, state) })
	}
	return onSystem(ctx, term, c.dir(), c.Fresh, nil, func(ctx context.Context, state datadir.State) error { return c.measure(ctx, term, state) })
}

func (c *loadCommand) measure(ctx context.Context, term terminal, state datadir.State) error {
	services := client.New(state.URLs, max(64, c.Clients))
	defer services.Close()
	bench, err := load.Prepare(ctx, services, 20, 10, strconv.FormatInt(time.Now().UnixMilli(), 36), c.Patience)
	if err != nil {
		return err
	}
	if c.Rate > 0 {
		return c.atRate(ctx, term, bench)
	}
	return c.withClients(ctx, term, bench)
}

func (c *loadCommand) atRate(ctx context.Context, term terminal, bench *load.Bench) error {
	fmt.Fprintf(term.Out, "%d orders a second for %s\n", c.Rate, c.Duration)
	figures, err := bench.AtRate(ctx, c.Rate, c.Duration)
	if err != nil {
		return err
	}
	fmt.Fprintf(term.Out, "  %-30s %d\n", "accepted", figures.Accepted)
	fmt.Fprintf(term.Out, "  %-30s %s\n", "POST /orders", figures.Answered)
	fmt.Fprintf(term.Out, "  %-30s %s\n", "from 201 to reporting", figures.Visible)
	fmt.Fprintf(term.Out, "  %-30s %s   (%d orders looked at)\n", "from commit to packing", figures.Handled, figures.Looked)
	return nil
}

func (c *loadCommand) withClients(ctx context.Context, term terminal, bench *load.Bench) error {
	fmt.Fprintf(term.Out, "%d orders by %d clients\n", c.Orders, c.Clients)
	figures, err := bench.WithClients(ctx, c.Clients, c.Orders)
	if err != nil {
		return err
	}
	fmt.Fprintf(term.Out, "  %-30s %d, %.0f a second\n", "accepted", figures.Accepted, figures.PerSecond)
	fmt.Fprintf(term.Out, "  %-30s %s\n", "POST /orders", figures.Answered)
	for _, c := range figures.Complete {
		fmt.Fprintf(term.Out, "  %-30s %d ms after the last 201\n", c.ReadModel+" complete", c.After.Milliseconds())
	}
	return nil
}
