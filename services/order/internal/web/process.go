package web

import (
	"context"
	"errors"
	"time"

	"orderflow/pkg/es"
	"orderflow/pkg/service"
)

// process is the body of the process of an order.
type process struct {
	OrderID  string           `json:"orderId" format:"uuid"`
	State    string           `json:"state" doc:"as in the table of docs/processes.md"`
	Deadline *processDeadline `json:"deadline,omitempty" doc:"absent when it waits without one"`
	Version  int64            `json:"version"`
}

type processDeadline struct {
	Kind  string    `json:"kind" enum:"pack-overdue,pack-expired,dispatch-overdue,dispatch-expired"`
	DueAt time.Time `json:"dueAt"`
}

type processOutput struct {
	ETag string `header:"ETag"`
	Body process
}

// process tells where the process of an order stands. It begins a moment after
// the order is placed; until then there is none.
func (a *API) process(ctx context.Context, in *orderInput) (*processOutput, error) {
	id, err := service.PathID("order", in.OrderID)
	if err != nil {
		return nil, err
	}
	p, version, err := a.Processes.Load(ctx, id)
	if errors.Is(err, es.ErrNotFound) {
		return nil, service.NotFound("process of order", in.OrderID)
	}
	if err != nil {
		return nil, err
	}
	body := process{OrderID: in.OrderID, State: string(p.State), Version: int64(version)}
	if p.Deadline.Kind != "" {
		body.Deadline = &processDeadline{Kind: string(p.Deadline.Kind), DueAt: p.Deadline.DueAt}
	}
	return &processOutput{ETag: service.ETag(int64(version)), Body: body}, nil
}
