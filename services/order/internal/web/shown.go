package web

import (
	"context"
	"errors"
	"time"

	"github.com/google/uuid"

	"orderflow/pkg/es"
	"orderflow/pkg/position"
	"orderflow/pkg/service"
	"orderflow/services/order/internal/announce"
	"orderflow/services/order/internal/listing"
)

// Shown is what the list of orders shows: what others told of an order becomes
// part of its stream, and the streams become the list.
type Shown struct {
	Store    *es.Store
	Listing  *listing.Listing
	Consumed service.Projection
}

var _ service.Projection = Shown{}

// Await waits for the list; before that, for what another service announced to
// be in the order's stream.
func (s Shown) Await(ctx context.Context, p position.Position, patience time.Duration) (position.State, error) {
	until := time.Now().Add(patience)
	if p.Source != listing.Source {
		state, err := s.Consumed.Await(ctx, p, patience)
		if err != nil || state != position.Applied {
			return state, err
		}
		id, err := uuid.Parse(p.Subject)
		if err != nil {
			return position.Applied, nil //nolint:nilerr // it is about no order
		}
		last, err := s.Store.ReadLast(ctx, es.StreamName("order", id), 1)
		if errors.Is(err, es.ErrNotFound) {
			return position.Applied, nil
		}
		if err != nil {
			return position.Missing, err
		}
		p.Source, p.Sequence = listing.Source, int64(last[0].Revision)
	}
	return s.Listing.Await(ctx, p, max(0, time.Until(until)))
}

// Complete is the earlier of the two.
func (s Shown) Complete(ctx context.Context) time.Time {
	consumed, listed := s.Consumed.Complete(ctx), s.Listing.Complete(ctx)
	if listed.Before(consumed) {
		return listed
	}
	return consumed
}

// positionOf is the token of what has been announced of an order. The state is
// at version; it may have moved on since.
func (a *API) positionOf(ctx context.Context, id uuid.UUID, version es.Revision) (string, error) {
	if version == 0 { // placed, and nothing else
		placed := position.Position{Source: listing.Source, Subject: id.String(), Name: position.NameOf(announce.PlacedV1)}
		return placed.String(), nil
	}
	p, err := a.Announced(ctx, es.StreamName("order", id))
	return p.String(), err
}
