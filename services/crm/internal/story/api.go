package story

import (
	"context"
	"errors"

	"orderflow/pkg/service"
)

type customerInput struct {
	service.AfterQuery
	CustomerID string `path:"customerId"`
}

type customerOutput struct{ Body Customer }

type mailsInput struct {
	service.PageQuery
	service.AfterQuery
	OrderID string `query:"orderId" maxLength:"100" doc:"only mails about this order"`
}

type mailsOutput struct{ Body service.Page[Mail] }

// Serve adds the operations on customers and mails to the service.
func Serve(svc *service.Service, s *Store, shown service.Projection) {
	service.Read(svc, shown, "/customers/{customerId}", "A customer's story", func(ctx context.Context, in *customerInput) (*customerOutput, error) {
		if _, err := service.PathID("customer", in.CustomerID); err != nil {
			return nil, err
		}
		found, err := s.Customer(ctx, in.CustomerID)
		if errors.Is(err, ErrUnknown) {
			return nil, service.NotFound("customer", in.CustomerID)
		}
		if err != nil {
			return nil, err
		}
		return &customerOutput{found}, nil
	})
	service.Read(svc, shown, "/mails", "Mails, newest first", func(ctx context.Context, in *mailsInput) (*mailsOutput, error) {
		below := top()
		if _, err := in.Key(&below.writtenAt, &below.mailID); err != nil {
			return nil, err
		}
		list, err := s.Mails(ctx, in.OrderID, below, in.Limit+1)
		if err != nil {
			return nil, err
		}
		return &mailsOutput{service.PageOf(list, in.Limit, func(m Mail) []any { return []any{m.At.UnixMicro(), m.MailID} })}, nil
	})
}
