package web

import (
	"context"
	"errors"
	"fmt"
	"net/http"

	"github.com/google/uuid"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
	"orderflow/pkg/position"
	"orderflow/pkg/service"
	"orderflow/services/order/internal/copies"
	"orderflow/services/order/internal/domain"
	"orderflow/services/order/internal/fulfilment"
	"orderflow/services/order/internal/listing"
)

// Orders is the repository of orders.
type Orders = es.Repository[domain.Order, domain.Event]

// API answers the requests.
type API struct {
	Orders  *Orders
	Store   *es.Store
	Copies  *copies.Copies
	Listing *listing.Listing
	// Processes are those of orders, one each.
	Processes *fulfilment.Manager
	Shown     service.Projection
	// Announced finds the last announcement of a stream.
	Announced func(ctx context.Context, stream string) (position.Position, error)
}

// Register adds the operations.
func (a *API) Register(svc *service.Service) {
	svc.TranslateErrors(problem)
	service.Create(svc, "/orders", "Place an order", a.place)
	service.Get(svc, "/orders/{orderId}", "An order as its stream tells it now", a.get)
	service.Read(svc, a.Shown, "/orders", "Orders, newest first; the list may lag", a.list)
	service.Post(svc, "/orders/{orderId}/cancel", "Cancel an order that has not left the house", a.cancel)
	service.Get(svc, "/orders/{orderId}/history", "What happened to an order, by revision", a.history)
	service.Get(svc, "/orders/{orderId}/fulfilment", "Where the process of an order stands, and until when it waits", a.process)
}

func (a *API) get(ctx context.Context, in *orderInput) (*orderOutput, error) {
	id, err := service.PathID("order", in.OrderID)
	if err != nil {
		return nil, err
	}
	state, version, err := a.Orders.Load(ctx, id)
	if errors.Is(err, es.ErrNotFound) {
		return nil, service.NotFound("order", in.OrderID)
	}
	if err != nil {
		return nil, err
	}
	return orderAnswer(in.OrderID, state, version), nil
}

func (a *API) cancel(ctx context.Context, in *cancelInput) (*commandOutput, error) {
	id, err := service.PathID("order", in.OrderID)
	if err != nil {
		return nil, err
	}
	precondition, err := service.Precondition(in.IfMatch)
	if err != nil {
		return nil, err
	}
	c, err := a.aboutOrder(ctx, id)
	if err != nil {
		return nil, err
	}
	state, version, err := a.Orders.Update(ctx, id, c, precondition, func(o domain.Order) ([]domain.Event, error) {
		return o.Cancel(in.Body.Reason, c.At)
	})
	if err != nil {
		return nil, err
	}
	token, err := a.positionOf(ctx, id, version)
	if err != nil {
		return nil, err
	}
	answer := orderAnswer(in.OrderID, state, version)
	return &commandOutput{ETag: answer.ETag, Position: token, Body: answer.Body}, nil
}

// aboutOrder is the cause that this request is, within the correlation that
// began with the order: whoever follows an order finds all of it under one id.
func (a *API) aboutOrder(ctx context.Context, id uuid.UUID) (cause.Cause, error) {
	c := cause.FromContext(ctx)
	first, err := a.Store.ReadFirst(ctx, es.StreamName("order", id))
	if errors.Is(err, es.ErrNotFound) {
		return c, service.NotFound("order", id.String())
	}
	if err != nil {
		return c, err
	}
	c.CorrelationID = first.Metadata.CorrelationID
	return c, nil
}

func (a *API) list(ctx context.Context, in *listInput) (*listOutput, error) {
	query := listing.Query{CustomerID: canonical(in.CustomerID), Status: in.Status, Limit: in.Limit + 1}
	var before listing.Key
	var lastID uuid.UUID // nothing else can be the id of an order
	given, err := in.Key(&before.PlacedAt, &lastID)
	if err != nil {
		return nil, err
	}
	if given {
		before.ID = lastID.String()
		query.Before = &before
	}
	found, err := a.Listing.Find(ctx, query)
	if err != nil {
		return nil, err
	}
	page := service.PageOf(found, in.Limit, func(l listing.Listed) []any { return []any{l.Key().PlacedAt, l.ID} })
	items := make([]order, len(page.Items))
	for i, listed := range page.Items {
		items[i] = orderBody(listed.ID, listed.Order, listed.Version)
	}
	return &listOutput{service.Page[order]{Items: items, NextCursor: page.NextCursor}}, nil
}

func (a *API) history(ctx context.Context, in *historyInput) (*historyOutput, error) {
	id, err := service.PathID("order", in.OrderID)
	if err != nil {
		return nil, err
	}
	last := int32(es.NoStream) // no order has more events than that
	if _, err := in.Key(&last); err != nil {
		return nil, err
	}
	events, err := a.Store.ReadStream(ctx, es.StreamName("order", id), es.Revision(max(last, -1))+1)
	if errors.Is(err, es.ErrNotFound) {
		return nil, service.NotFound("order", in.OrderID)
	}
	if err != nil {
		return nil, err
	}
	items := make([]historyItem, len(events))
	for i, e := range events {
		items[i] = historyItem{
			Revision: int64(e.Revision), EventID: e.ID.String(), Type: e.Type, Version: e.Metadata.Version, At: e.At,
			Data: e.Data, Metadata: e.Metadata,
		}
	}
	return &historyOutput{service.PageOf(items, in.Limit, func(i historyItem) []any { return []any{i.Revision} })}, nil
}

// problem says which of the service's own errors are whose fault.
func problem(err error) error {
	var atLine domain.LineError
	switch {
	case errors.Is(err, domain.ErrNotPlaced):
		return service.NewProblem(http.StatusNotFound, "not-found", err.Error())
	case errors.Is(err, domain.ErrAlreadyPlaced): // ids are fresh, unless they come from a key
		return service.NewProblem(http.StatusUnprocessableEntity, "idempotency-key-reused",
			"this Idempotency-Key has placed an order with another body",
			service.FieldError{Location: "header.Idempotency-Key", Message: "used before with another body"})
	case errors.Is(err, domain.ErrAlreadyDispatched):
		return service.NewProblem(http.StatusConflict, "already-dispatched", err.Error())
	case errors.Is(err, copies.ErrUnknownCustomer):
		return service.NewProblem(http.StatusConflict, "unknown-customer", err.Error(),
			service.FieldError{Location: "body.customerId", Message: err.Error()}).RetryAfter("1")
	case errors.Is(err, copies.ErrCustomerDeactivated):
		return service.NewProblem(http.StatusConflict, "customer-deactivated", err.Error(),
			service.FieldError{Location: "body.customerId", Message: err.Error()})
	case errors.Is(err, copies.ErrCustomerForgotten):
		return service.NewProblem(http.StatusConflict, "customer-forgotten", err.Error(),
			service.FieldError{Location: "body.customerId", Message: err.Error()})
	case errors.As(err, &atLine):
		return lineProblem(atLine)
	default:
		return nil
	}
}

func lineProblem(at domain.LineError) error {
	field := "sku"
	if errors.Is(at.Err, domain.ErrQuantity) || errors.Is(at.Err, domain.ErrTotalTooLarge) {
		field = "quantity"
	}
	fault := service.FieldError{Location: fmt.Sprintf("body.lines[%d].%s", at.Line, field), Message: at.Err.Error()}
	if errors.Is(at.Err, copies.ErrUnknownProduct) {
		return service.NewProblem(http.StatusConflict, "unknown-product", at.Err.Error(), fault).RetryAfter("1")
	}
	return service.NewProblem(http.StatusUnprocessableEntity, "invalid-request", "validation failed", fault)
}
