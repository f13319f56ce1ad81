package web

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/google/uuid"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
	"orderflow/pkg/position"
	"orderflow/pkg/service"
	"orderflow/services/customer/internal/domain"
	"orderflow/services/customer/internal/vault"
)

// API answers the requests.
type API struct {
	Customers *es.Repository[domain.Customer, domain.Event]
	// Forgetting is the same customers for the decision to forget one, for which
	// nothing about them need be readable.
	Forgetting *es.Repository[domain.Customer, domain.Event]
	Keys       *vault.Vault
	// Announced finds the last announcement of a stream.
	Announced func(ctx context.Context, stream string) (position.Position, error)
}

// Register adds the operations.
func (a *API) Register(svc *service.Service) {
	svc.TranslateErrors(problem)
	service.Create(svc, "/customers", "Register a customer", a.register)
	service.Get(svc, "/customers/{customerId}", "A customer as their stream tells it now", a.get)
	service.Put(svc, "/customers/{customerId}/address", "Change the address", a.changeAddress)
	service.Put(svc, "/customers/{customerId}/contact", "Change name and email", a.changeContact)
	service.Post(svc, "/customers/{customerId}/deactivate", "End a customer's ordering", a.deactivate)
	service.Post(svc, "/customers/{customerId}/forget", "Erase who a customer is, for good", a.forget)
}

func (a *API) register(ctx context.Context, in *registerInput) (*createdOutput, error) {
	c, id := cause.FromContext(ctx), cause.NewID()
	state, version, err := a.Customers.Update(ctx, id, c, es.Precondition{}, func(customer domain.Customer) ([]domain.Event, error) {
		return customer.Register(domain.Contact(in.Body.Contact), domain.Address(in.Body.Address), c.At)
	})
	if err != nil {
		return nil, err
	}
	token, err := a.positionOf(ctx, id)
	if err != nil {
		return nil, err
	}
	created := answer(id.String(), state, version)
	return &createdOutput{Location: "/customers/" + id.String(), ETag: created.ETag, Position: token, Body: created.Body}, nil
}

func (a *API) get(ctx context.Context, in *customerInput) (*customerOutput, error) {
	id, err := service.PathID("customer", in.CustomerID)
	if err != nil {
		return nil, err
	}
	state, version, err := a.Customers.Load(ctx, id)
	if errors.Is(err, es.ErrNotFound) {
		return nil, domain.ErrNotRegistered
	}
	if err != nil {
		return nil, err
	}
	return answer(in.CustomerID, state, version), nil
}

func (a *API) changeAddress(ctx context.Context, in *addressInput) (*commandOutput, error) {
	return a.change(ctx, in.CustomerID, in.IfMatch, func(c domain.Customer, now time.Time) ([]domain.Event, error) {
		return c.ChangeAddress(domain.Address(in.Body), now)
	})
}

func (a *API) changeContact(ctx context.Context, in *contactInput) (*commandOutput, error) {
	return a.change(ctx, in.CustomerID, in.IfMatch, func(c domain.Customer, now time.Time) ([]domain.Event, error) {
		return c.ChangeContact(domain.Contact(in.Body), now)
	})
}

func (a *API) deactivate(ctx context.Context, in *deactivateInput) (*commandOutput, error) {
	return a.change(ctx, in.CustomerID, in.IfMatch, func(c domain.Customer, now time.Time) ([]domain.Event, error) {
		return c.Deactivate(in.Body.Reason, now)
	})
}

// forget commits that the customer is forgotten, and then destroys the key. When
// it fails in between, the log has it, and package forgetting goes on from there;
// the same call made again does so at once. A key that cannot be destroyed now is
// no success: the answer 200 says that it is gone. One that is lost already keeps
// nobody from being forgotten: others have copies.
func (a *API) forget(ctx context.Context, in *forgetInput) (*commandOutput, error) {
	answer, err := a.changeIn(ctx, a.Forgetting, in.CustomerID, in.IfMatch, func(c domain.Customer, now time.Time) ([]domain.Event, error) {
		return c.Forget(now)
	})
	if err != nil {
		return nil, err
	}
	id, err := service.PathID("customer", in.CustomerID)
	if err != nil {
		return nil, err
	}
	if err := a.Keys.Destroy(ctx, id); err != nil {
		return nil, err
	}
	return answer, nil
}

// change carries out a command on a customer that exists.
func (a *API) change(
	ctx context.Context, customerID, ifMatch string, decide func(domain.Customer, time.Time) ([]domain.Event, error),
) (*commandOutput, error) {
	return a.changeIn(ctx, a.Customers, customerID, ifMatch, decide)
}

func (a *API) changeIn(
	ctx context.Context, customers *es.Repository[domain.Customer, domain.Event], customerID, ifMatch string,
	decide func(domain.Customer, time.Time) ([]domain.Event, error),
) (*commandOutput, error) {
	id, err := service.PathID("customer", customerID)
	if err != nil {
		return nil, err
	}
	precondition, err := service.Precondition(ifMatch)
	if err != nil {
		return nil, err
	}
	c := cause.FromContext(ctx)
	state, version, err := customers.Update(ctx, id, c, precondition, func(customer domain.Customer) ([]domain.Event, error) {
		return decide(customer, c.At)
	})
	if err != nil {
		return nil, err
	}
	token, err := a.positionOf(ctx, id)
	if err != nil {
		return nil, err
	}
	changed := answer(customerID, state, version)
	return &commandOutput{ETag: changed.ETag, Position: token, Body: changed.Body}, nil
}

// positionOf is the token of what has been announced of a customer.
func (a *API) positionOf(ctx context.Context, id uuid.UUID) (string, error) {
	p, err := a.Announced(ctx, es.StreamName("customer", id))
	return p.String(), err
}

// problem says which of the service's own errors are whose fault.
func problem(err error) error {
	switch {
	case errors.Is(err, domain.ErrNotRegistered):
		return service.NewProblem(http.StatusNotFound, "not-found", err.Error())
	case errors.Is(err, domain.ErrDeactivated):
		return service.NewProblem(http.StatusConflict, "customer-deactivated", err.Error())
	case errors.Is(err, domain.ErrForgotten), errors.Is(err, vault.ErrForgotten):
		return service.NewProblem(http.StatusConflict, "customer-forgotten", domain.ErrForgotten.Error())
	case errors.Is(err, vault.ErrUnavailable):
		return service.NewProblem(http.StatusServiceUnavailable, "keys-unavailable",
			"the keys of customers cannot be read at the moment; nothing is lost, repeating the request is safe").RetryAfter("1")
	default:
		return nil
	}
}
