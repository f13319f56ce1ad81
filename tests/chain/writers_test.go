//go:build unix

package chain

import (
	"context"
	"encoding/json"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
)

// number is an event of an aggregate, and the aggregate is how many there are.
type number struct{ N int }

type codec struct{}

func (codec) Encode(_ context.Context, _ uuid.UUID, e number) (es.Encoded, error) {
	data, err := json.Marshal(payload(e))
	return es.Encoded{Type: "counted", Version: 1, Data: data}, err
}

func (codec) Decode(_ context.Context, r es.Recorded) ([]number, error) {
	var data payload
	err := json.Unmarshal(r.Data, &data)
	return []number{number(data)}, err
}

func count(n int, _ number) int { return n + 1 }

const (
	writerCount = 4
	orderCount  = 40
)

// errRefused is a decision that nothing may be written of.
var errRefused = errors.New("refused")

// write lets writers append to a few streams until ctx ends, several to each
// stream, and returns how many commands were carried out. They never give a
// command up: what became of one that broke off is found out by repeating it.
func (w *world) write(ctx context.Context, t *testing.T) (wait func() int64) {
	orders := make([]uuid.UUID, orderCount)
	for i := range orders {
		orders[i] = cause.NewID()
	}
	repository := es.NewRepository(w.store, "order", codec{}, count)
	var done atomic.Int64
	var writers sync.WaitGroup
	for writer := range writerCount {
		writers.Go(func() {
			ticker := time.NewTicker(8 * time.Millisecond)
			defer ticker.Stop()
			for n := writer; ; n++ {
				select {
				case <-ticker.C:
				case <-ctx.Done():
					return
				}
				if err := command(t.Context(), repository, orders[n*7%orderCount], n); err != nil {
					t.Errorf("writer %d: %v", writer, err)
					return
				}
				done.Add(1)
			}
		})
	}
	return func() int64 { writers.Wait(); return done.Load() }
}

// command appends one event, or two, or is refused.
func command(ctx context.Context, repository *es.Repository[int, number], order uuid.UUID, n int) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	id := cause.NewID()
	for {
		_, _, err := repository.Update(ctx, order, cause.Cause{ID: id, CorrelationID: id.String(), Request: "POST /", At: time.Now()}, es.Precondition{},
			func(events int) ([]number, error) {
				switch n % 10 {
				case 9:
					return nil, errRefused
				case 5:
					return []number{{events}, {events + 1}}, nil
				}
				return []number{{events}}, nil
			})
		switch {
		case errors.Is(err, errRefused):
			return nil
		case errors.Is(err, es.ErrUnavailable) && ctx.Err() == nil:
			continue // with the same id
		default:
			return err
		}
	}
}
