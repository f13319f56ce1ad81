package jobs

import (
	"context"
	"errors"
	"net/http"

	"orderflow/pkg/service"
)

// resource is a job as clients see it.
type resource struct {
	OrderID  string `json:"orderId"`
	Status   string `json:"status" enum:"pending,packed,rejected,cancelled,returned"`
	Lines    []Line `json:"lines"`
	PackedBy string `json:"packedBy,omitempty"`
	Reason   string `json:"reason,omitempty" doc:"why it was rejected"`
}

func show(j Job) resource {
	return resource{OrderID: j.OrderID, Status: string(j.Status()), Lines: j.Lines, PackedBy: j.PackedBy, Reason: j.Reason}
}

type jobInput struct {
	service.AfterQuery
	OrderID string `path:"orderId"`
}

type jobOutput struct {
	ETag string `header:"ETag"`
	Body resource
}

type commandOutput struct {
	ETag     string `header:"ETag"`
	Position string `header:"Orderflow-Position" doc:"?after=... of a read, in any service: answer when it shows this"`
	Body     resource
}

type listInput struct {
	service.PageQuery
	service.AfterQuery
	Status string `query:"status" enum:"pending,packed,rejected,cancelled,returned" doc:"only jobs of this status"`
}

type listOutput struct{ Body service.Page[resource] }

type packInput struct {
	OrderID string `path:"orderId"`
	IfMatch string `header:"If-Match" doc:"pack this version only"`
	Body    struct {
		PackedBy string `json:"packedBy" minLength:"1" maxLength:"200" pattern:"^\\P{Cc}*[^\\p{Z}\\p{C}]\\P{Cc}*$" patternDescription:"printable text that is not blank" doc:"who packed it"`
	}
}

type rejectInput struct {
	OrderID string `path:"orderId"`
	IfMatch string `header:"If-Match" doc:"reject this version only"`
	Body    struct {
		Reason string `json:"reason" minLength:"1" maxLength:"500" pattern:"^\\P{Cc}*[^\\p{Z}\\p{C}]\\P{Cc}*$" patternDescription:"printable text that is not blank" doc:"why it cannot be packed; kept for ever and told to others: nothing personal"`
	}
}

// Serve adds the operations on jobs to the service.
func Serve(svc *service.Service, s *Store, shown service.Projection) {
	svc.TranslateErrors(problemOf)
	service.Read(svc, shown, "/jobs", "The worklist, newest orders first", s.worklist)
	service.Read(svc, shown, "/jobs/{orderId}", "The job of an order", func(ctx context.Context, in *jobInput) (*jobOutput, error) {
		return answer(in.OrderID, "", func(Precondition) (Job, error) { return s.Get(ctx, in.OrderID) })
	})
	service.Post(svc, "/jobs/{orderId}/pack", "The order is packed", func(ctx context.Context, in *packInput) (*commandOutput, error) {
		return s.carriedOut(ctx, in.OrderID, in.IfMatch, func(pre Precondition) (Job, error) {
			return s.Pack(ctx, in.OrderID, pre, in.Body.PackedBy)
		})
	})
	service.Post(svc, "/jobs/{orderId}/reject", "The order cannot be packed", func(ctx context.Context, in *rejectInput) (*commandOutput, error) {
		return s.carriedOut(ctx, in.OrderID, in.IfMatch, func(pre Precondition) (Job, error) {
			return s.Reject(ctx, in.OrderID, pre, in.Body.Reason)
		})
	})
}

func (s *Store) worklist(ctx context.Context, in *listInput) (*listOutput, error) {
	below := top()
	if _, err := in.Key(&below.placedAt, &below.orderID); err != nil {
		return nil, err
	}
	jobs, err := s.list(ctx, Status(in.Status), below, in.Limit+1)
	if err != nil {
		return nil, err
	}
	page := service.PageOf(jobs, in.Limit, func(j Job) []any { return []any{micros(j.PlacedAt), j.OrderID} })
	shown := service.Page[resource]{Items: make([]resource, len(page.Items)), NextCursor: page.NextCursor}
	for i, job := range page.Items {
		shown.Items[i] = show(job)
	}
	return &listOutput{shown}, nil
}

// carriedOut is answer for a command, with the position of what was announced.
func (s *Store) carriedOut(ctx context.Context, orderID, ifMatch string, do func(Precondition) (Job, error)) (*commandOutput, error) {
	done, err := answer(orderID, ifMatch, do)
	if err != nil {
		return nil, err
	}
	output := &commandOutput{ETag: done.ETag, Body: done.Body}
	announced, known, err := s.out.Newest(ctx, orderID)
	if known {
		output.Position = announced.String()
	}
	return output, err
}

// answer is what all operations on one job share: the id and the precondition
// on the way in, the ETag on the way out.
func answer(orderID, ifMatch string, do func(Precondition) (Job, error)) (*jobOutput, error) {
	if _, err := service.PathID("job", orderID); err != nil {
		return nil, err
	}
	pre, err := service.IfMatch(ifMatch)
	if err != nil {
		return nil, err
	}
	job, err := do(pre)
	if errors.Is(err, ErrUnknown) {
		return nil, service.NotFound("job", orderID)
	}
	if err != nil {
		return nil, err
	}
	return &jobOutput{ETag: service.ETag(job.Version), Body: show(job)}, nil
}

// problemOf is how the rules of this package are told to clients.
func problemOf(err error) error {
	switch {
	case errors.Is(err, ErrStale):
		return service.NewProblem(http.StatusPreconditionFailed, "stale", "the job has changed since the version in If-Match")
	case errors.Is(err, ErrCancelled):
		return service.NewProblem(http.StatusConflict, "job-cancelled", ErrCancelled.Error())
	case errors.Is(err, ErrAlreadyPacked):
		return service.NewProblem(http.StatusConflict, "already-packed", ErrAlreadyPacked.Error())
	case errors.Is(err, ErrRejected):
		return service.NewProblem(http.StatusConflict, "job-rejected", ErrRejected.Error())
	default:
		return nil
	}
}
