package board

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"orderflow/services/console/internal/neighbours"
	"orderflow/services/console/internal/viewers"
)

// Spread says how long something took: half of the times, and nearly all.
type Spread struct {
	MedianMs *float64 `json:"medianMs"`
	P95Ms    *float64 `json:"p95Ms"`
}

// Figures are what reporting tells management.
type Figures struct {
	OrdersByStatus map[string]int64 `json:"ordersByStatus"`
	Revenue        []Money          `json:"revenue"`
	TimeToPack     *Spread          `json:"timeToPack"`
	TimeToDispatch *Spread          `json:"timeToDispatch"`
	Delayed        map[string]int64 `json:"delayed,omitempty"`
	Returned       int64            `json:"returned,omitempty"`
}

// Summary is the newest figures seen, if any, and why there are no newer ones.
type Summary struct {
	Figures *Figures `json:"figures"`
	Problem string   `json:"problem,omitempty"`
}

// pauseAfterLoss is how long to wait before following reporting again.
const pauseAfterLoss = time.Second

// WatchSummary follows the figures as reporting sends them out.
func WatchSummary(services *neighbours.Neighbours) viewers.Source {
	return func(ctx context.Context, emit func(any) bool) {
		var last Summary
		viewers.Every(pauseAfterLoss, pauseAfterLoss, func(ctx context.Context, emit func(any) bool) bool {
			err := services.Follow(ctx, neighbours.Reporting, "/live", func(event, data string) {
				if event != "summary" {
					return
				}
				if figures, err := decodeFigures(data); err != nil {
					last.Problem = err.Error()
				} else {
					last = Summary{Figures: figures}
				}
				emit(last)
			})
			last.Problem = err.Error()
			return emit(last)
		})(ctx, emit)
	}
}

func decodeFigures(data string) (*Figures, error) {
	var figures Figures
	if err := json.Unmarshal([]byte(data), &figures); err != nil {
		return nil, fmt.Errorf("%s sends something else than figures: %w", neighbours.Reporting, err)
	}
	return &figures, nil
}
