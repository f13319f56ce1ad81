package eventbus_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"orderflow/pkg/eventbus"
)

// keeper is a bus that keeps events nobody had subscribed to, and notes when
// they are published.
type keeper struct {
	eventbus.Bus
	kept      []eventbus.Delivery
	published []time.Time
}

func (k *keeper) Depth(context.Context, string) (int, error) { return len(k.kept), nil }

func (k *keeper) Publish(_ context.Context, events ...eventbus.Event) error {
	for range events {
		k.published = append(k.published, time.Now())
	}
	return nil
}

func (k *keeper) Subscribe(ctx context.Context, q eventbus.Queue, h eventbus.Handler) (eventbus.Subscription, error) {
	q, err := q.Complete()
	if err != nil {
		return nil, err
	}
	go func() {
		for len(k.kept) > 0 && ctx.Err() == nil {
			batch := k.kept[:min(q.BatchSize, len(k.kept))]
			k.kept = k.kept[len(batch):]
			_ = h(ctx, batch) // nothing is malformed
		}
	}()
	return closer{}, nil
}

type closer struct{ eventbus.Subscription }

func (closer) Close(context.Context) error { return nil }

func TestARedriveKeepsToItsRate(t *testing.T) {
	for _, rate := range []int{1, 7, 250} {
		synctest.Test(t, func(t *testing.T) {
			k := &keeper{}
			for n := range 3*rate + 1 {
				k.kept = append(k.kept, eventbus.Delivery{Event: eventbus.Event{ID: fmt.Sprint(n)}})
			}
			began := time.Now()
			done, err := eventbus.Redrive(t.Context(), k, rate)
			if err != nil || done.Published != 3*rate+1 {
				t.Fatalf("%+v, %v", done, err)
			}
			for second := range 3 {
				from, count := began.Add(time.Duration(second)*time.Second), 0
				for _, at := range k.published {
					if !at.Before(from) && at.Before(from.Add(time.Second)) {
						count++
					}
				}
				if count > rate+rate/2 || count == 0 {
					t.Errorf("at %d a second, %d in second %d", rate, count, second)
				}
			}
			if took := time.Since(began); took < 2500*time.Millisecond || took > 4*time.Second {
				t.Errorf("at %d a second, %d took %s", rate, done.Published, took)
			}
		})
	}
}
