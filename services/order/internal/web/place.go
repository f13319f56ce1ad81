package web

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"

	"github.com/google/uuid"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
	"orderflow/services/order/internal/copies"
	"orderflow/services/order/internal/domain"
)

// place takes an order.
//
// With an Idempotency-Key the order's id is derived from customer and key, and
// the command's id from these and the body. So the same call made twice, or
// sixteen times at once, addresses one stream with one event id, and the event
// store keeps one of them. A call with the key and another body is another
// command to the same order, which by then is placed: that refuses it.
func (a *API) place(ctx context.Context, in *placeInput) (*placeOutput, error) {
	in.Body.CustomerID = canonical(in.Body.CustomerID)
	c, id := cause.FromContext(ctx), cause.NewID()
	if in.IdempotencyKey != "" {
		var err error
		if c, id, err = keyed(c, in); err != nil {
			return nil, err
		}
		// What was carried out before is answered before anything is asked that
		// may have changed since, such as whether the customer is active.
		state, version, err := a.Orders.Update(ctx, id, c, es.Precondition{}, mustBeNew)
		if err != nil {
			return nil, err
		}
		if version != es.NoStream {
			return a.placed(ctx, id, state, version)
		}
	}
	lines, err := a.price(ctx, in.Body)
	if err != nil {
		return nil, err
	}
	state, version, err := a.Orders.Update(ctx, id, c, es.Precondition{}, func(o domain.Order) ([]domain.Event, error) {
		return o.Place(in.Body.CustomerID, lines, c.At)
	})
	if err != nil {
		return nil, err
	}
	return a.placed(ctx, id, state, version)
}

// mustBeNew decides nothing; it refuses an order that another command placed.
func mustBeNew(o domain.Order) ([]domain.Event, error) {
	if o.Status != domain.StatusUnknown {
		return nil, domain.ErrAlreadyPlaced
	}
	return nil, nil
}

// canonical writes an id, which may come in any form of RFC 9562, the way it is
// stored. What is no id stays as it is.
func canonical(id string) string {
	parsed, err := uuid.Parse(id)
	if err != nil {
		return id
	}
	return parsed.String()
}

// keyed replaces the fresh ids by those that customer, key and body stand for.
func keyed(c cause.Cause, in *placeInput) (cause.Cause, uuid.UUID, error) {
	customer, err := uuid.Parse(in.Body.CustomerID)
	if err != nil {
		return c, uuid.Nil, copies.ErrUnknownCustomer
	}
	body, err := json.Marshal(in.Body)
	if err != nil {
		return c, uuid.Nil, err
	}
	hash := sha256.Sum256(body)
	c.BodyHash = hex.EncodeToString(hash[:])
	key := cause.Derive(customer, in.IdempotencyKey)
	c.ID = cause.Derive(key, c.BodyHash)
	return c, cause.Derive(key, "order"), nil
}

// price turns the body into lines at today's prices, from the service's own
// copies: no other service is asked.
func (a *API) price(ctx context.Context, body placeBody) ([]domain.Line, error) {
	wanted := make([]copies.Wanted, len(body.Lines))
	seen := make(map[string]bool, len(body.Lines))
	for i, line := range body.Lines {
		if seen[line.SKU] {
			return nil, domain.LineError{Line: i, Err: domain.ErrSameSKU}
		}
		seen[line.SKU] = true
		wanted[i] = copies.Wanted{SKU: line.SKU, Quantity: line.Quantity}
	}
	if err := a.Copies.CheckCustomer(ctx, body.CustomerID); err != nil {
		return nil, err
	}
	return a.Copies.Price(ctx, wanted)
}

func (a *API) placed(ctx context.Context, id uuid.UUID, state domain.Order, version es.Revision) (*placeOutput, error) {
	token, err := a.positionOf(ctx, id, version)
	if err != nil {
		return nil, err
	}
	answer := orderAnswer(id.String(), state, version)
	return &placeOutput{Location: "/orders/" + id.String(), ETag: answer.ETag, Position: token, Body: answer.Body}, nil
}
