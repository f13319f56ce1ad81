package shipments

import (
	"context"
	"errors"
	"fmt"
	"time"

	"orderflow/pkg/cause"
	"orderflow/pkg/service"
	"orderflow/pkg/sqldb"
)

// ErrStale says that the shipment has changed since the version the caller had
// seen.
var ErrStale = errors.New("the shipment has changed")

// Precondition restricts a command to some versions of the shipment, as an
// If-Match header does. The zero value allows any.
type Precondition = service.Match

// Dispatch notes that a carrier has taken the order, and announces it: the new
// row and its announcement are one transaction, so there is never one without
// the other. It returns the shipment as it is afterwards; an error (those of
// [Shipment.Dispatch], or [ErrStale]) means that nothing changed and nothing is
// announced.
func (s *Store) Dispatch(ctx context.Context, orderID string, pre Precondition, carrier, trackingNumber string) (Shipment, error) {
	c := cause.FromContext(ctx)
	at := c.At.Truncate(time.Microsecond) // what a row can hold
	var shipment Shipment
	err := s.db.Update(ctx, func(tx sqldb.Tx) error {
		before, after, err := change(ctx, tx, orderID, func(s Shipment) (Shipment, error) {
			switch {
			case s.Status() == StatusUnknown:
				return s, ErrUnknown
			case !pre.Allows(s.Version):
				return s, ErrStale
			}
			return s.Dispatch(carrier, trackingNumber, at)
		})
		if err != nil {
			return err
		}
		shipment = after
		if after.Version == before.Version {
			return nil
		}
		if err := stillKnown(ctx, tx, after.CustomerID); err != nil {
			return err
		}
		event, err := announceDispatched(after, c)
		if err != nil {
			return err
		}
		return s.out.Add(ctx, tx, c, event)
	})
	if err != nil {
		return Shipment{}, fmt.Errorf("shipment %s: %w", orderID, err)
	}
	return shipment, nil
}
