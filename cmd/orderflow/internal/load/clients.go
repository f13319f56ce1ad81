package load

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"orderflow/cmd/orderflow/internal/client"
)

// ClientFigures are what a fixed number of clients showed.
type ClientFigures struct {
	Accepted int
	// PerSecond is the number of orders accepted a second.
	PerSecond float64
	// Answered is how long POST /orders took.
	Answered Spread
	// Complete is how long after the last answer each read model had every order, by name.
	Complete []Completion
}

// Completion is when a read model had every order, counted from the last answer.
type Completion struct {
	ReadModel string
	After     time.Duration
}

// WithClients lets clients place orders, one after the other each, and then looks for every order in every read model.
func (b *Bench) WithClients(ctx context.Context, clients, orders int) (ClientFigures, error) {
	base, err := b.settled(ctx)
	if err != nil {
		return ClientFigures{}, err
	}
	began := time.Now()
	var next atomic.Int64
	var running sync.WaitGroup
	for range clients {
		running.Go(func() {
			for ctx.Err() == nil {
				i := int(next.Add(1)) - 1
				if i >= orders {
					return
				}
				b.measure(ctx, i, time.Now())
			}
		})
	}
	running.Wait()
	ended := time.Now()
	if err := b.problem(); err != nil {
		return ClientFigures{}, err
	}
	figures := ClientFigures{Accepted: len(b.sent), PerSecond: float64(len(b.sent)) / ended.Sub(began).Seconds()}
	latencies := []time.Duration{}
	for _, s := range b.sent {
		latencies = append(latencies, s.latency)
	}
	figures.Answered = spreadOf(latencies)
	figures.Complete, err = b.completions(ctx, base, ended)
	return figures, err
}

// completions looks for every accepted order in every read model, in all of them at the same time.
func (b *Bench) completions(ctx context.Context, base int, since time.Time) ([]Completion, error) {
	ctx, cancel := context.WithTimeout(ctx, b.patience)
	defer cancel()
	looks := []struct {
		name string
		has  func(context.Context) error
	}{
		{"packing", func(ctx context.Context) error { return b.inLedger(ctx, "packing") }},
		{"crm", func(ctx context.Context) error { return b.inLedger(ctx, "crm") }},
		{"reporting", func(ctx context.Context) error {
			summary, err := b.client.Summary(ctx)
			if err == nil && summary.Orders() < base+len(b.sent) {
				err = fmt.Errorf("%d of %d orders: %w", summary.Orders()-base, len(b.sent), client.ErrNotYet)
			}
			return err
		}},
	}
	done := make([]Completion, len(looks))
	failed := make([]error, len(looks))
	var running sync.WaitGroup
	for i, look := range looks {
		running.Go(func() {
			failed[i] = b.client.Eventually(ctx, look.name+" to be complete", look.has)
			done[i] = Completion{look.name, time.Since(since)}
		})
	}
	running.Wait()
	for _, err := range failed {
		if err != nil {
			return nil, err
		}
	}
	return done, nil
}

// inLedger returns nil when a service has a row for every accepted order.
func (b *Bench) inLedger(ctx context.Context, service string) error {
	missing := map[string]bool{}
	for _, s := range b.sent {
		missing[s.orderID] = true
	}
	err := b.client.Ledger(ctx, service, func(subject string) { delete(missing, subject) })
	if err == nil && len(missing) > 0 {
		err = fmt.Errorf("%d of %d orders are missing: %w", len(missing), len(b.sent), client.ErrNotYet)
	}
	return err
}
