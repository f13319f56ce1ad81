package verify

import (
	"context"
	"errors"
	"fmt"

	"github.com/google/uuid"

	"orderflow/pkg/es"
	"orderflow/pkg/service"
)

// eventStore is what the event store is called where it does not answer.
const eventStore = "the event store"

// categories begin the names of the streams that are read.
func categories() []string { return []string{"order-", "customer-", "fulfilment-"} }

var errAtEnd = errors.New("at the end of the log")

// read takes the log into the book, from where it was left to where it ends now.
// It may go on growing meanwhile.
func (v *Verifier) read(ctx context.Context) error {
	end, err := v.Store.End(ctx)
	if err != nil {
		return &CannotLookError{Where: eventStore, Err: err}
	}
	for v.position < end {
		err := v.Store.Follow(ctx, v.position, categories(), func(ctx context.Context, batch es.Batch) error {
			unreadable, err := v.book.add(ctx, batch.Events)
			if err != nil {
				return err
			}
			v.note(unreadable)
			v.report.Events += len(batch.Events)
			v.position = batch.Position
			if v.position < end {
				return nil
			}
			return errAtEnd
		})
		switch {
		case errors.Is(err, errAtEnd):
			return nil
		case errors.Is(err, es.ErrUnavailable) && v.Store.Ready(ctx) == nil: // it was away for a moment
		case errors.Is(err, es.ErrUnavailable):
			return &CannotLookError{Where: eventStore, Err: err}
		default:
			return fmt.Errorf("read the log: %w", err)
		}
	}
	return nil
}

// note tells of events that cannot be read: up to v.Most of them; the others are
// counted.
func (v *Verifier) note(unreadable []Difference) {
	for _, d := range unreadable {
		if len(v.found) < v.Most {
			v.found = append(v.found, d)
		} else {
			v.further(d.Service, 1)
		}
	}
}

// committedTo reads what was committed about one subject by now.
func (v *Verifier) committedTo(ctx context.Context, kind, subject string) (truth, error) {
	t := unseen(kind, subject)
	events, err := v.events(ctx, sourceOf(kind), subject)
	for _, r := range events {
		t, _ = t.after(r) // what cannot be read was told when the log was
	}
	return t, err
}

// events reads the streams that are about one subject: of an order, also that of
// its process.
func (v *Verifier) events(ctx context.Context, kind, subject string) (events []es.Recorded, err error) {
	id, err := uuid.Parse(subject)
	if err != nil {
		return nil, nil //nolint:nilerr // nothing is committed under such an id
	}
	categories := map[string][]string{service.LedgerOrder: {"order", "fulfilment"}, service.LedgerCustomer: {"customer"}}
	for _, category := range categories[kind] {
		stream, err := v.Store.ReadStream(ctx, es.StreamName(category, id), 0)
		if err != nil && !errors.Is(err, es.ErrNotFound) {
			return nil, &CannotLookError{Where: eventStore, Err: err}
		}
		events = append(events, stream...)
	}
	return events, nil
}
