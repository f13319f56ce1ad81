package timeline

import (
	"context"
	"net/http"
	"strings"

	"orderflow/pkg/service"
)

type input struct {
	ID string `path:"id"`
}

type output struct{ Body Timeline }

// Serve adds GET /api/orders/{id}/timeline.
func (r *Reader) Serve(svc *service.Service) {
	service.Get(svc, "/api/orders/{id}/timeline", "The way of an order through the services", func(ctx context.Context, in *input) (*output, error) {
		if _, err := service.PathID("order", in.ID); err != nil {
			return nil, err
		}
		t := r.Read(ctx, in.ID)
		silent := t.silent()
		switch {
		case t.Known():
			r.learn(ctx, t)
			return &output{r.named(t)}, nil
		case len(silent) > 0:
			// Somebody who does not answer may know it.
			return nil, service.NewProblem(http.StatusServiceUnavailable, "unavailable", strings.Join(silent, ", ")+" did not answer; the others do not know the order").
				RetryAfter("1")
		default:
			return nil, service.NotFound("order", in.ID)
		}
	})
}
