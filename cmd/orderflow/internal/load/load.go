package load

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"time"

	"orderflow/cmd/orderflow/internal/client"
)

// Bench sends orders to a system.
type Bench struct {
	client    *client.Client
	customers []string
	skus      []string
	patience  time.Duration

	mu     sync.Mutex
	sent   []sample
	failed []error
}

// sample is one order that was accepted.
type sample struct {
	orderID  string
	latency  time.Duration
	accepted time.Time
}

// Prepare registers customers and products and waits until orders of each are accepted. It places one order for each
// customer, which is not measured. patience bounds every waiting.
func Prepare(ctx context.Context, services *client.Client, customers, products int, suffix string, patience time.Duration) (*Bench, error) {
	b := &Bench{client: services, patience: patience}
	for i := range products {
		product := client.Product{
			SKU: fmt.Sprintf("load-%s-%d", suffix, i), Name: fmt.Sprintf("Product %d", i),
			Price: client.Money{Amount: int64(100 + i), Currency: "EUR"},
		}
		if err := services.ListProduct(ctx, product); err != nil {
			return nil, err
		}
		b.skus = append(b.skus, product.SKU)
	}
	for i := range customers {
		customer, err := services.RegisterCustomer(ctx, client.Customer{
			Name: fmt.Sprintf("Customer %d", i), Email: fmt.Sprintf("load-%s-%d@orderflow.example", suffix, i),
			Address: client.Address{Line1: "Example Street 1", City: "Berlin", Postcode: "10115", Country: "DE"},
		})
		if err != nil {
			return nil, err
		}
		b.customers = append(b.customers, customer.ID)
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for i := range max(customers, products) {
		err := services.Eventually(ctx, "a first order", func(ctx context.Context) error {
			_, err := b.place(ctx, i)
			return err
		})
		if err != nil {
			return nil, err
		}
	}
	return b, nil
}

// place places the i-th order: two lines, for one customer after the other.
func (b *Bench) place(ctx context.Context, i int) (client.Order, error) {
	lines := []client.Line{{SKU: b.skus[i%len(b.skus)], Quantity: 1 + i%3}}
	if len(b.skus) > 1 {
		lines = append(lines, client.Line{SKU: b.skus[(i+1)%len(b.skus)], Quantity: 1})
	}
	return b.client.PlaceOrder(ctx, b.customers[i%len(b.customers)], lines...)
}

// measure places the i-th order and keeps how long it took since its time had come.
func (b *Bench) measure(ctx context.Context, i int, since time.Time) {
	order, err := b.place(ctx, i)
	now := time.Now()
	b.mu.Lock()
	defer b.mu.Unlock()
	if err != nil {
		b.failed = append(b.failed, err)
		return
	}
	b.sent = append(b.sent, sample{orderID: order.ID, latency: now.Sub(since), accepted: now})
}

// problem returns the first failure; figures of a system that refuses orders mean nothing.
func (b *Bench) problem() error {
	if len(b.failed) == 0 {
		return nil
	}
	return fmt.Errorf("%d of %d orders were not accepted: %w", len(b.failed), len(b.failed)+len(b.sent), b.failed[0])
}

// Spread is how a duration is distributed.
type Spread struct{ P50, P99, Max time.Duration }

func spreadOf(durations []time.Duration) Spread {
	if len(durations) == 0 {
		return Spread{}
	}
	slices.Sort(durations)
	at := func(share float64) time.Duration { return durations[int(share*float64(len(durations)-1))] }
	return Spread{P50: at(0.50), P99: at(0.99), Max: durations[len(durations)-1]}
}

// String writes the spread in milliseconds.
func (s Spread) String() string {
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	return fmt.Sprintf("p50 %7.1f ms   p99 %7.1f ms   max %7.1f ms", ms(s.P50), ms(s.P99), ms(s.Max))
}
