package shipments

import (
	"context"
	"errors"
	"net/http"

	"orderflow/pkg/service"
)

// resource is a shipment as clients see it.
type resource struct {
	OrderID        string   `json:"orderId"`
	Status         string   `json:"status" enum:"ready,dispatched,cancelled"`
	Recipient      string   `json:"recipient,omitempty" doc:"forgotten, where the customer is"`
	Address        *Address `json:"address,omitempty"`
	Carrier        string   `json:"carrier,omitempty"`
	TrackingNumber string   `json:"trackingNumber,omitempty"`
}

// show leaves out the recipient of what will not be sent: nobody needs it.
func show(s Shipment) resource {
	r := resource{OrderID: s.OrderID, Status: string(s.Status()), Carrier: s.Carrier, TrackingNumber: s.TrackingNumber}
	if s.Status() == StatusCancelled {
		return r
	}
	r.Recipient = s.Recipient
	if s.Forgotten {
		r.Recipient = "forgotten"
	}
	if s.Address != (Address{}) {
		r.Address = &s.Address
	}
	return r
}

type shipmentInput struct {
	service.AfterQuery
	OrderID string `path:"orderId"`
}

type shipmentOutput struct {
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
	Status string `query:"status" enum:"ready,dispatched,cancelled" doc:"only shipments of this status"`
}

type listOutput struct{ Body service.Page[resource] }

type dispatchInput struct {
	OrderID string `path:"orderId"`
	IfMatch string `header:"If-Match" doc:"dispatch this version only"`
	Body    struct {
		Carrier        string `json:"carrier" minLength:"1" maxLength:"100" pattern:"^\\P{Cc}*[^\\p{Z}\\p{C}]\\P{Cc}*$" patternDescription:"printable text that is not blank" doc:"who carries it"`
		TrackingNumber string `json:"trackingNumber" minLength:"1" maxLength:"100" pattern:"^\\P{Cc}*[^\\p{Z}\\p{C}]\\P{Cc}*$" patternDescription:"printable text that is not blank" doc:"the carrier's number for it"`
	}
}

// Serve adds the operations on shipments to the service.
func Serve(svc *service.Service, s *Store, shown service.Projection) {
	svc.TranslateErrors(problemOf)
	service.Read(svc, shown, "/shipments", "What was packed, newest first", s.listing)
	service.Read(svc, shown, "/shipments/{orderId}", "The shipment of an order", func(ctx context.Context, in *shipmentInput) (*shipmentOutput, error) {
		return answer(in.OrderID, "", func(Precondition) (Shipment, error) { return s.Get(ctx, in.OrderID) })
	})
	service.Post(svc, "/shipments/{orderId}/dispatch", "A carrier has taken it", func(ctx context.Context, in *dispatchInput) (*commandOutput, error) {
		return s.carriedOut(ctx, in.OrderID, in.IfMatch, func(pre Precondition) (Shipment, error) {
			return s.Dispatch(ctx, in.OrderID, pre, in.Body.Carrier, in.Body.TrackingNumber)
		})
	})
}

func (s *Store) listing(ctx context.Context, in *listInput) (*listOutput, error) {
	below := top()
	if _, err := in.Key(&below.packedAt, &below.orderID); err != nil {
		return nil, err
	}
	shipments, err := s.list(ctx, Status(in.Status), below, in.Limit+1)
	if err != nil {
		return nil, err
	}
	page := service.PageOf(shipments, in.Limit, func(s Shipment) []any { return []any{micros(s.PackedAt), s.OrderID} })
	shown := service.Page[resource]{Items: make([]resource, len(page.Items)), NextCursor: page.NextCursor}
	for i, shipment := range page.Items {
		shown.Items[i] = show(shipment)
	}
	return &listOutput{shown}, nil
}

// carriedOut is answer for a command, with the position of what was announced.
func (s *Store) carriedOut(ctx context.Context, orderID, ifMatch string, do func(Precondition) (Shipment, error)) (*commandOutput, error) {
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

// answer is what all operations on one shipment share: the id and the
// precondition on the way in, the ETag on the way out.
func answer(orderID, ifMatch string, do func(Precondition) (Shipment, error)) (*shipmentOutput, error) {
	if _, err := service.PathID("shipment", orderID); err != nil {
		return nil, err
	}
	pre, err := service.IfMatch(ifMatch)
	if err != nil {
		return nil, err
	}
	shipment, err := do(pre)
	if errors.Is(err, ErrUnknown) {
		return nil, service.NotFound("shipment", orderID)
	}
	if err != nil {
		return nil, err
	}
	return &shipmentOutput{ETag: service.ETag(shipment.Version), Body: show(shipment)}, nil
}

// problemOf is how the rules of this package are told to clients.
func problemOf(err error) error {
	switch {
	case errors.Is(err, ErrStale):
		return service.NewProblem(http.StatusPreconditionFailed, "stale", "the shipment has changed since the version in If-Match")
	case errors.Is(err, ErrCancelled):
		return service.NewProblem(http.StatusConflict, "shipment-cancelled", ErrCancelled.Error())
	case errors.Is(err, ErrCustomerForgotten):
		return service.NewProblem(http.StatusConflict, "customer-forgotten", ErrCustomerForgotten.Error())
	case errors.Is(err, ErrAddressUnknown):
		return service.NewProblem(http.StatusConflict, "address-unknown", ErrAddressUnknown.Error()).RetryAfter("1")
	case errors.Is(err, ErrAlreadyDispatched):
		return service.NewProblem(http.StatusConflict, "already-dispatched", ErrAlreadyDispatched.Error())
	default:
		return nil
	}
}
