package load

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"orderflow/cmd/orderflow/internal/client"
)

// RateFigures are what a load of a fixed rate showed.
type RateFigures struct {
	// Accepted is the number of orders, all of which were answered with 201.
	Accepted int
	// Answered is how long POST /orders took.
	Answered Spread
	// Visible is how long after its answer an order was counted by reporting. It is precise to [lookEvery].
	Visible Spread
	// Handled is how long after its commit to the event store an order was handled in packing: through relay, bus and
	// inbox, as both have recorded it. Looked is how many orders were looked at for this.
	Handled Spread
	Looked  int
}

// lookEvery is how often reporting is asked.
const lookEvery = 10 * time.Millisecond

// AtRate sends perSecond orders a second for a while. The k-th order that was accepted counts as visible when reporting
// counts k orders more than before.
func (b *Bench) AtRate(ctx context.Context, perSecond int, during time.Duration) (RateFigures, error) {
	base, err := b.settled(ctx)
	if err != nil {
		return RateFigures{}, err
	}
	total := int(during.Seconds() * float64(perSecond))
	watch := make(chan watched, 1)
	watching, stop := context.WithCancel(ctx)
	defer stop()
	go func() { watch <- b.watchReporting(watching, base+total) }()

	b.sendAtRate(ctx, perSecond, total)
	if err := b.problem(); err != nil {
		return RateFigures{}, err
	}
	var seen watched
	select {
	case seen = <-watch:
	case <-time.After(b.patience):
		stop()
		seen = <-watch
		return RateFigures{}, fmt.Errorf("reporting counts %d of %d orders %s after the last one: %w",
			seen.last()-base, total, b.patience, client.ErrNotYet)
	}
	if seen.err != nil {
		return RateFigures{}, seen.err
	}
	figures := RateFigures{Accepted: len(b.sent), Visible: spreadOf(b.delays(seen, base))}
	latencies := []time.Duration{}
	for _, s := range b.sent {
		latencies = append(latencies, s.latency)
	}
	figures.Answered = spreadOf(latencies)
	handled, err := b.chain(ctx)
	figures.Handled, figures.Looked = spreadOf(handled), len(handled)
	return figures, errors.Join(err, ctx.Err())
}

func (b *Bench) sendAtRate(ctx context.Context, perSecond, total int) {
	began, pause := time.Now(), time.Second/time.Duration(perSecond)
	var running sync.WaitGroup
	defer running.Wait()
	timer := time.NewTimer(0)
	defer timer.Stop()
	for i := range total {
		due := began.Add(time.Duration(i) * pause)
		timer.Reset(time.Until(due))
		select {
		case <-timer.C:
		case <-ctx.Done():
			return
		}
		running.Go(func() { b.measure(ctx, i, due) })
	}
}

// watched is what reporting counted, and when.
type watched struct {
	counts []int
	at     []time.Time
	err    error
}

func (w watched) last() int {
	if len(w.counts) == 0 {
		return 0
	}
	return w.counts[len(w.counts)-1]
}

// watchReporting notes how the number of orders in reporting grows until it has reached what is expected.
func (b *Bench) watchReporting(ctx context.Context, expected int) watched {
	var seen watched
	ticker := time.NewTicker(lookEvery)
	defer ticker.Stop()
	for seen.last() < expected {
		summary, err := b.client.Summary(ctx)
		if err != nil {
			seen.err = err
			return seen
		}
		if orders := summary.Orders(); orders > seen.last() {
			seen.counts, seen.at = append(seen.counts, orders), append(seen.at, time.Now())
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			seen.err = ctx.Err()
			return seen
		}
	}
	return seen
}

// delays pairs the orders, in the order of their answers, with the moments at which reporting counted as many.
func (b *Bench) delays(seen watched, base int) []time.Duration {
	slices.SortFunc(b.sent, func(x, y sample) int { return x.accepted.Compare(y.accepted) })
	delays := []time.Duration{}
	look := 0
	for k, s := range b.sent {
		for look < len(seen.counts)-1 && seen.counts[look] < base+k+1 {
			look++
		}
		delays = append(delays, max(0, seen.at[look].Sub(s.accepted)))
	}
	return delays
}

// settled waits until reporting counts every order placed before, and returns how many those are.
func (b *Bench) settled(ctx context.Context) (int, error) {
	placed := max(len(b.customers), len(b.skus))
	ctx, cancel := context.WithTimeout(ctx, b.patience)
	defer cancel()
	count, before := 0, -1
	err := b.client.Eventually(ctx, "reporting to settle", func(ctx context.Context) error {
		summary, err := b.client.Summary(ctx)
		if err != nil {
			return err
		}
		before, count = count, summary.Orders()
		if count < placed || count != before {
			return client.ErrNotYet
		}
		return nil
	})
	return count, err
}
