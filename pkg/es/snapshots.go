package es

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
)

// Errors of a [SnapshotStore]. They are matched with errors.Is.
var (
	// ErrNoSnapshot: there is none of the stream.
	ErrNoSnapshot = errors.New("no snapshot")
	// ErrDamagedSnapshot: it is not what was saved.
	ErrDamagedSnapshot = errors.New("damaged snapshot")
)

// Snapshot is the state of an aggregate up to one event of its stream, kept to
// save reading the events before. It is never the truth: what it says is what
// folding the events says, and removing it loses nothing but time.
type Snapshot struct {
	Stream string
	// Revision and EventID are those of the last event that is in the state. An
	// event with another id at this revision means that the snapshot is of
	// another history.
	Revision Revision
	EventID  uuid.UUID
	// Version is that of the state's encoding, from 1; see [StateCodec].
	Version int
	State   []byte
	// Seen are the first four bytes of the id of every event that is in the
	// state, in order. They tell, without the events, that a command has not
	// been carried out before; where they are not sure the events are read.
	Seen []byte
}

// SnapshotStore keeps the newest snapshot of each stream. Safe for concurrent use.
type SnapshotStore interface {
	// Load returns the snapshot of a stream, [ErrNoSnapshot], or an error that
	// wraps [ErrDamagedSnapshot].
	Load(ctx context.Context, stream string) (Snapshot, error)
	// Save keeps s in the place of whatever there is of the stream.
	Save(ctx context.Context, s Snapshot) error
}

// StateCodec translates the state of an aggregate to and from the form it is
// kept in.
type StateCodec[S any] interface {
	// Version says which form EncodeState writes, from 1. Raise it with every
	// change of that form, and with every change of what the same events mean:
	// snapshots of another version are not read, they are taken anew.
	Version() int
	EncodeState(state S) ([]byte, error)
	// DecodeState reads what EncodeState of the same version has written.
	DecodeState(data []byte) (S, error)
}

// Snapshots say how a [Repository] uses snapshots. Do not use them for states
// with personal data: a snapshot holds in the clear what events hold encrypted.
type Snapshots[S any] struct {
	Store SnapshotStore
	Codec StateCodec[S]
	// Every is how many events there are from one snapshot to the next, 100 when
	// 0. As many are read from the end of a stream before a snapshot is looked
	// for: a stream that has no more costs nothing more than without snapshots.
	Every int
	// Log is told of snapshots that were of no use, and why; nil means nobody.
	Log *slog.Logger
}

const (
	defaultEvery = 100
	// lookFor bounds waiting for a snapshot: after that the events are read.
	lookFor = time.Second
	// saveFor bounds how long a snapshot may take to be saved.
	saveFor = 10 * time.Second
)

// snapshotter uses snapshots as [Snapshots] say.
type snapshotter[S any] struct {
	Snapshots[S]
	saving atomic.Bool // at most one snapshot is being saved
	// Looking or saving did not work the last time, and that was told.
	silent, unsaved atomic.Bool
	// What stays as it is until the program is another one is told once.
	tellNewer, tellUnencodable sync.Once
}

// WithSnapshots returns a repository of the same aggregates that uses snapshots.
//
// The promise. It behaves as one without, and faster where streams are long: a
// snapshot counts only if the stream holds, at its revision, the event it was
// taken after; otherwise, and when it is damaged, of a version that this program
// does not read, or its store does not answer, the events are read from the
// first on, and the log is told. Taking one happens beside the command or load
// that has come across enough events for it, and never fails it.
func (r *Repository[S, E]) WithSnapshots(s Snapshots[S]) *Repository[S, E] {
	if s.Every <= 0 {
		s.Every = defaultEvery
	}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	return &Repository[S, E]{
		store: r.store, category: r.category, codec: r.codec, apply: r.apply,
		snapshots: &snapshotter[S]{Snapshots: s},
	}
}

// found is an aggregate as it was loaded.
type found[S any] struct {
	state S
	at    Revision
	// start is the snapshot the state began with; its revision is NoStream when
	// it began with nothing.
	start Snapshot
	// ids are those of the events after it, up to at.
	ids []uuid.UUID
	// keep says that a snapshot is not to be replaced.
	keep bool
}

// holds reports whether an event is among those after the start.
func (f found[S]) holds(id uuid.UUID) bool { return slices.Contains(f.ids, id) }

// mayHold reports whether an event can be among those up to the start.
func (f found[S]) mayHold(id uuid.UUID) bool {
	for seen := range slices.Chunk(f.start.Seen, 4) {
		if bytes.Equal(seen, id[:4]) {
			return true
		}
	}
	return false
}

// find loads an aggregate, from a snapshot when there is a good one. An
// aggregate without events is [ErrNotFound].
func (r *Repository[S, E]) find(ctx context.Context, stream string) (found[S], error) {
	if r.snapshots == nil {
		return r.replay(ctx, stream)
	}
	last, err := r.store.ReadLast(ctx, stream, r.snapshots.Every)
	if err != nil {
		return begun[S](), err
	}
	if len(last) < r.snapshots.Every || last[0].Revision == 0 {
		return r.follow(ctx, begun[S](), last) // that is all, and nobody has asked for a snapshot
	}
	f, ok := r.snapshots.look(ctx, stream)
	events, err := r.from(ctx, stream, max(f.at, 0), last)
	if err != nil {
		return begun[S](), err
	}
	if !ok {
		return r.follow(ctx, f, events)
	}
	if len(events) > 0 && events[0].Revision == f.at && events[0].ID == f.start.EventID {
		return r.follow(ctx, f, events[1:])
	}
	r.snapshots.Log.WarnContext(ctx, "snapshot ends at an event that its stream does not have; it is taken anew",
		"stream", stream, "revision", f.at, "event", f.start.EventID)
	return r.replay(ctx, stream)
}

// from returns the events of a stream from a revision on, of which the last are
// at hand. A stream that was cut off at its beginning has fewer.
func (r *Repository[S, E]) from(ctx context.Context, stream string, from Revision, last []Recorded) ([]Recorded, error) {
	first := last[0].Revision
	if from >= first {
		return last[min(int(from-first), len(last)):], nil
	}
	events, err := r.store.read(ctx, stream, readingStream(stream, from, uint64(first-from))) //nolint:gosec // positive
	if err != nil {
		return nil, err
	}
	events = slices.DeleteFunc(events, func(e Recorded) bool { return e.Revision >= first })
	return append(events, last...), nil
}

// replay loads an aggregate from its events alone.
func (r *Repository[S, E]) replay(ctx context.Context, stream string) (found[S], error) {
	events, err := r.store.ReadStream(ctx, stream, 0)
	if err != nil {
		return begun[S](), err
	}
	return r.follow(ctx, begun[S](), events)
}

// begun is an aggregate before its first event.
func begun[S any]() found[S] { return found[S]{at: NoStream, start: Snapshot{Revision: NoStream}} }

// follow folds further events into an aggregate. When one cannot be read, what
// it returns ends at the one before.
func (r *Repository[S, E]) follow(ctx context.Context, f found[S], history []Recorded) (found[S], error) {
	for _, recorded := range history {
		if recorded.Unreadable != nil {
			return f, recorded.Unreadable
		}
		events, err := r.codec.Decode(ctx, recorded)
		if err != nil {
			return f, fmt.Errorf("event %d of %s: %w", recorded.Revision, recorded.Stream, err)
		}
		for _, event := range events {
			f.state = r.apply(f.state, event)
		}
		f.at = recorded.Revision
		f.ids = append(f.ids, recorded.ID)
	}
	return f, nil
}

// carriedOut reports whether the stream holds the first event of a command. A
// snapshot tells surely only that it does not; when in doubt the events are
// read, and f becomes what they say.
func (r *Repository[S, E]) carriedOut(ctx context.Context, stream string, f *found[S], first uuid.UUID) (bool, error) {
	if f.holds(first) || !f.mayHold(first) {
		return f.holds(first), nil
	}
	replayed, err := r.replay(ctx, stream)
	if err != nil {
		return false, err
	}
	*f = replayed
	return f.holds(first), nil
}

// look returns the aggregate as the snapshot of its stream tells it, and whether
// there is one to be read.
func (s *snapshotter[S]) look(ctx context.Context, stream string) (found[S], bool) {
	patient, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	snapshot, err := s.Store.Load(patient, stream)
	f := begun[S]()
	switch {
	case errors.Is(err, ErrNoSnapshot):
		s.silent.Store(false)
		return f, false
	case errors.Is(err, ErrDamagedSnapshot):
		s.Log.WarnContext(ctx, "snapshot is taken anew", "stream", stream, "error", err)
		return f, false
	case err != nil:
		if ctx.Err() == nil && s.silent.CompareAndSwap(false, true) {
			s.Log.WarnContext(ctx, "snapshots cannot be read; aggregates are loaded from their events, which takes longer", "error", err)
		}
		f.keep = true
		return f, false
	case snapshot.Version > s.Codec.Version():
		s.tellNewer.Do(func() {
			s.Log.WarnContext(ctx, "snapshots come from a newer program; here aggregates are loaded from their events, which takes longer. "+
				"If the newer program is not to come back, delete them",
				"stream", stream, "version", snapshot.Version, "known", s.Codec.Version())
		})
		f.keep = true
		return f, false
	case snapshot.Version < s.Codec.Version():
		return f, false // of the program before this one
	}
	s.silent.Store(false)
	state, err := guarding(s.Codec.DecodeState, snapshot.State)
	if err != nil {
		s.Log.WarnContext(ctx, "snapshot is taken anew", "stream", stream, "error", fmt.Errorf("%w: %w", ErrDamagedSnapshot, err))
		return f, false
	}
	return found[S]{state: state, at: snapshot.Revision, start: snapshot}, true
}

// take saves a snapshot when enough events have come since the last, beside the
// caller. Only one is saved at a time: what is left out now is due the next time.
func (r *Repository[S, E]) take(ctx context.Context, stream string, f found[S]) {
	s := r.snapshots
	if s == nil || f.keep || len(f.ids) < s.Every || s.saving.Swap(true) {
		return
	}
	state, err := guarding(s.Codec.EncodeState, f.state)
	if err != nil {
		s.saving.Store(false)
		s.tellUnencodable.Do(func() { s.Log.ErrorContext(ctx, "no snapshot can be taken", "stream", stream, "error", err) })
		return
	}
	seen := slices.Clone(f.start.Seen)
	for _, id := range f.ids {
		seen = append(seen, id[:4]...)
	}
	snapshot := Snapshot{
		Stream: stream, Revision: f.at, EventID: f.ids[len(f.ids)-1], Version: s.Codec.Version(), State: state, Seen: seen,
	}
	go func() {
		defer s.saving.Store(false)
		patient, cancel := context.WithTimeout(context.WithoutCancel(ctx), saveFor)
		defer cancel()
		switch err := s.Store.Save(patient, snapshot); {
		case err == nil:
			s.unsaved.Store(false)
		case s.unsaved.CompareAndSwap(false, true):
			s.Log.WarnContext(patient, "snapshots cannot be saved; long streams take longer and longer to load", "stream", stream, "error", err)
		}
	}()
}

// guarding recovers from a panic of a codec: a snapshot is nothing that a
// command or a load may fail for.
func guarding[From, To any](translate func(From) (To, error), from From) (to To, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("panic: %v", p)
		}
	}()
	return translate(from)
}
