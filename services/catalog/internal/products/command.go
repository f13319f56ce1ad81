package products

import (
	"context"
	"errors"
	"fmt"
	"time"

	"orderflow/pkg/cause"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/service"
	"orderflow/pkg/sqldb"
)

// ErrStale says that the product has changed since the version the caller had
// seen.
var ErrStale = errors.New("the product has changed")

// Precondition restricts a command to some versions of the product, as an
// If-Match header does. The zero value allows any.
type Precondition = service.Match

// List lists a product, and announces it. An error ([ErrDuplicateSKU]) means that
// nothing changed and nothing is announced.
func (s *Store) List(ctx context.Context, sku, name string, price Money) (Product, error) {
	return s.command(ctx, sku, announceListed, func(p Product, at time.Time) (Product, error) {
		return p.List(name, price, at)
	})
}

// Reprice sets the price of a product, and announces it when it is another one.
// It returns the product as it is afterwards; an error (those of
// [Product.Reprice], or [ErrStale]) means that nothing changed and nothing is
// announced.
func (s *Store) Reprice(ctx context.Context, sku string, pre Precondition, price Money) (Product, error) {
	return s.command(ctx, sku, announceRepriced, func(p Product, at time.Time) (Product, error) {
		if p.Version >= 0 && !pre.Allows(p.Version) {
			return p, ErrStale
		}
		return p.Reprice(price, at)
	})
}

// command carries out what a person asked for: the new row and its announcement
// are one transaction, so there is never one without the other.
func (s *Store) command(ctx context.Context, sku string,
	announce func(before, after Product, c cause.Cause) (eventbus.Event, error), decide func(Product, time.Time) (Product, error),
) (Product, error) {
	c := cause.FromContext(ctx)
	at := c.At.Truncate(time.Microsecond) // what a row can hold
	var product Product
	err := s.db.Update(ctx, func(tx sqldb.Tx) error {
		before, after, err := change(ctx, tx, sku, func(p Product) (Product, error) { return decide(p, at) })
		if err != nil {
			return err
		}
		product = after
		if after.Version == before.Version {
			return nil
		}
		event, err := announce(before, after, c)
		if err != nil {
			return err
		}
		return s.out.Add(ctx, tx, c, event)
	})
	if err != nil {
		return Product{}, fmt.Errorf("product %s: %w", sku, err)
	}
	return product, nil
}
