package jobs

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

// ErrStale says that the job has changed since the version the caller had seen.
var ErrStale = errors.New("the job has changed")

// Precondition restricts a command to some versions of the job, as an
// If-Match header does. The zero value allows any.
type Precondition = service.Match

// Pack notes that packedBy has packed the order, and announces it. It returns
// the job as it is afterwards; an error (those of [Job.Pack], or [ErrStale])
// means that nothing changed and nothing is announced.
func (s *Store) Pack(ctx context.Context, orderID string, pre Precondition, packedBy string) (Job, error) {
	return s.command(ctx, orderID, pre, announcePacked, func(j Job, at time.Time) (Job, error) {
		return j.Pack(packedBy, at)
	})
}

// Reject notes that the order cannot be packed, and announces it; like Pack.
func (s *Store) Reject(ctx context.Context, orderID string, pre Precondition, reason string) (Job, error) {
	return s.command(ctx, orderID, pre, announceRejected, func(j Job, at time.Time) (Job, error) {
		return j.Reject(reason, at)
	})
}

// command carries out what a person asked for: the new row and its announcement
// are one transaction, so there is never one without the other.
func (s *Store) command(ctx context.Context, orderID string, pre Precondition,
	announce func(Job, cause.Cause) (eventbus.Event, error), decide func(Job, time.Time) (Job, error),
) (Job, error) {
	c := cause.FromContext(ctx)
	at := c.At.Truncate(time.Microsecond) // what a row can hold
	var job Job
	err := s.db.Update(ctx, func(tx sqldb.Tx) error {
		before, after, err := change(ctx, tx, orderID, func(j Job) (Job, error) {
			switch {
			case j.Status() == StatusUnknown:
				return j, ErrUnknown
			case !pre.Allows(j.Version):
				return j, ErrStale
			}
			return decide(j, at)
		})
		if err != nil {
			return err
		}
		job = after
		if after.Version == before.Version {
			return nil
		}
		event, err := announce(after, c)
		if err != nil {
			return err
		}
		return s.out.Add(ctx, tx, c, event)
	})
	if err != nil {
		return Job{}, fmt.Errorf("job %s: %w", orderID, err)
	}
	return job, nil
}
