package board

import (
	"context"
	"errors"
	"net/http"

	"orderflow/pkg/service"
	"orderflow/services/console/internal/neighbours"
)

type ordersInput struct {
	service.PageQuery
	Status string `query:"status" enum:"placed,packed,dispatched,cancelled"`
}

type ordersOutput struct{ Body Page }

type healthOutput struct{ Body Health }

// Serve adds the operations that answer once what the page shows live.
func Serve(svc *service.Service, services *neighbours.Neighbours, orders *Orders) {
	service.Get(svc, "/api/orders", "Orders, newest first", func(ctx context.Context, in *ordersInput) (*ordersOutput, error) {
		page, err := orders.List(ctx, in.Status, in.Cursor, in.Limit)
		var refused *neighbours.RefusedError
		if errors.As(err, &refused) && refused.Status == http.StatusUnprocessableEntity {
			return nil, service.NewProblem(refused.Status, "invalid-request", refused.Detail)
		}
		if err != nil {
			return nil, service.NewProblem(http.StatusServiceUnavailable, "unavailable", err.Error()).RetryAfter("1")
		}
		orders.learn(ctx, page)
		return &ordersOutput{orders.Named(page)}, nil
	})
	service.Get(svc, "/api/health", "How every service is", func(ctx context.Context, _ *struct{}) (*healthOutput, error) {
		return &healthOutput{ReadHealth(ctx, services)}, nil
	})
}
