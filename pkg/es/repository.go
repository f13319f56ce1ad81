package es

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/google/uuid"

	"orderflow/pkg/cause"
)

// ErrStale says that the aggregate is no longer at the revision the caller
// named ([Precondition]).
var ErrStale = errors.New("aggregate has moved on")

// ErrContended says that a command lost against other writers too many times
// in a row. Nothing was written; the caller may try again.
var ErrContended = errors.New("too many conflicting writers")

// maxDecisions bounds how often one command is decided. Each round lost means
// that another command won, so the stream as a whole always moves on.
const maxDecisions = 32

// Encoded is an event in the form it is stored in.
type Encoded struct {
	// Type is the wire name: a constant, never derived from a Go type.
	Type string
	// Version of the schema of Data, from 1.
	Version int
	// Data is JSON.
	Data []byte
}

// Codec translates the events of one aggregate to and from their stored form.
type Codec[E any] interface {
	// Encode writes an event in the newest version of its schema.
	Encode(ctx context.Context, aggregate uuid.UUID, event E) (Encoded, error)
	// Decode reads every version ever written. One stored event may mean several
	// events of today, in this order, or none.
	Decode(ctx context.Context, r Recorded) ([]E, error)
}

// Repository loads and changes the aggregates of one category. S is the state
// of an aggregate, a plain value whose zero value is "nothing happened yet"; E
// is the sealed interface of its events. Safe for concurrent use.
type Repository[S, E any] struct {
	store    *Store
	category string
	codec    Codec[E]
	apply    func(S, E) S

	snapshots *snapshotter[S] // nil without
}

// NewRepository returns the repository of the streams <category>-<id>. apply
// folds one event into the state; it must not fail and must not have effects.
func NewRepository[S, E any](store *Store, category string, codec Codec[E], apply func(S, E) S) *Repository[S, E] {
	return &Repository[S, E]{store: store, category: category, codec: codec, apply: apply}
}

// Load returns an aggregate as its stream tells it now, and the revision of its
// last event. An aggregate without events is [ErrNotFound]. It waits for an
// unavailable store as [Store.ReadStream] does.
func (r *Repository[S, E]) Load(ctx context.Context, id uuid.UUID) (S, Revision, error) {
	stream := StreamName(r.category, id)
	f, err := r.find(ctx, stream)
	r.take(ctx, stream, f)
	return f.state, f.at, err
}

// Precondition restricts an update to some revisions of the aggregate, as an
// If-Match header does. The zero value allows any.
type Precondition struct {
	at  []Revision
	set bool
}

// At is the precondition that the aggregate is at one of the revisions.
func At(revisions ...Revision) Precondition { return Precondition{at: revisions, set: true} }

// Update carries out one command: it loads the aggregate, lets decide choose
// the events that follow, and appends them with the loaded revision as the
// expected one. It returns the aggregate as its stream is afterwards.
//
// decide is called again on the new state when another writer came in between,
// so it must be pure. Its error ends the update and is returned as it is; no
// events mean that there is nothing to do. An aggregate without events is given
// to decide as the zero state.
//
// The ids of the events are derived from c. When the stream already holds the
// first of them the command has been carried out before: decide is not asked,
// and the aggregate is returned as it is now.
//
// A store that does not answer is waited for, and asked what became of the
// append, for as long as ctx allows: give it a deadline.
//
// Errors: decide's own; the codec's; [ErrStale] when pre does not hold;
// [ErrContended]; [ErrUnreadable]; [ErrUnavailable] when ctx ends before the
// store has answered, in which case the command may or may not have been carried
// out, and repeating it with the same cause settles that.
func (r *Repository[S, E]) Update(
	ctx context.Context, id uuid.UUID, c cause.Cause, pre Precondition, decide func(S) ([]E, error),
) (S, Revision, error) {
	stream := StreamName(r.category, id)
	lost := 0
	for round := 0; ; round++ {
		f, err := r.find(ctx, stream)
		if err != nil && !errors.Is(err, ErrNotFound) {
			return f.state, f.at, err
		}
		if done, err := r.carriedOut(ctx, stream, &f, c.EventID(stream, 0)); done || err != nil {
			return f.state, f.at, err
		}
		if pre.set && !slices.Contains(pre.at, f.at) {
			return f.state, f.at, fmt.Errorf("update %s: %w: at revision %d, not at %d", stream, ErrStale, f.at, pre.at)
		}
		events, err := decide(f.state)
		if err != nil || len(events) == 0 {
			return f.state, f.at, err
		}
		proposals, err := r.propose(ctx, id, c, events)
		if err != nil {
			return f.state, f.at, err
		}
		err = r.store.append(ctx, stream, f.at, proposals)
		switch {
		case err == nil:
			// Answer from the stream as it is: an identical command may have
			// been first, and then its events count, not these.
			appended, err := r.store.ReadStream(ctx, stream, f.at+1)
			if err != nil {
				return f.state, f.at, err
			}
			f, err = r.follow(ctx, f, appended)
			r.take(ctx, stream, f)
			return f.state, f.at, err
		case errors.Is(err, ErrWrongRevision):
			if lost++; lost == maxDecisions {
				return f.state, f.at, fmt.Errorf("update %s: %w", stream, ErrContended)
			}
		case !errors.Is(err, ErrUnavailable) || ctx.Err() != nil || r.store.isClosed():
			return f.state, f.at, err
		}
		// Whoever won gets out of the way, and a server in trouble some air. What
		// became of an append without an answer shows in the stream.
		if err := r.store.wait(ctx, rand.N(min(time.Duration(round+1)*5*time.Millisecond, 250*time.Millisecond))); err != nil {
			return f.state, f.at, err
		}
	}
}

func (r *Repository[S, E]) propose(ctx context.Context, id uuid.UUID, c cause.Cause, events []E) ([]proposed, error) {
	stream := StreamName(r.category, id)
	proposals := make([]proposed, len(events))
	for i, event := range events {
		encoded, err := r.codec.Encode(ctx, id, event)
		if err != nil {
			return nil, fmt.Errorf("encode event %d for %s: %w", i, stream, err)
		}
		proposals[i] = proposed{id: c.EventID(stream, i), encoded: encoded, metadata: metadataOf(c, encoded.Version)}
	}
	return proposals, nil
}
