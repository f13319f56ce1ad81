package es

import (
	"context"

	"github.com/google/uuid"

	"orderflow/pkg/cause"
)

// Append writes the events that follow from c after revision at, all or none,
// without reading the stream: for a writer that knows from before where the
// stream stands, and calls [Repository.Update] when it turns out to be wrong.
// The ids are those that Update gives, so the two recognise each other's work,
// and repeating a call that was carried out changes nothing.
//
// It is tried once. Errors: the codec's; [ErrWrongRevision] when the stream is
// elsewhere; [ErrUnavailable], after which nobody knows what became of it.
func (r *Repository[S, E]) Append(ctx context.Context, id uuid.UUID, c cause.Cause, at Revision, events []E) error {
	proposals, err := r.propose(ctx, id, c, events)
	if err != nil {
		return err
	}
	return r.store.append(ctx, StreamName(r.category, id), at, proposals)
}
