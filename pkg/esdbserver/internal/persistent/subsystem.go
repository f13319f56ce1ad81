package persistent

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/google/uuid"

	"orderflow/pkg/esdbserver/internal/eventlog"
)

// Options are what a subsystem works with.
type Options struct {
	Log    *eventlog.Log
	Now    func() time.Time
	Wake   <-chan struct{} // has a signal when Now has jumped; may be nil
	Logger *slog.Logger
}

// Subsystem holds the groups of an event log. All methods are safe for concurrent use.
type Subsystem struct {
	options Options
	ended   chan struct{}
	clock   sync.WaitGroup

	// mu is held for reading by everything that uses a group, and for writing by what adds or removes groups.
	mu sync.RWMutex
	// defined are the groups that the log defines, by key. One that could not be started is here and not among groups.
	defined map[string]Definition
	groups  map[string]*group
	closed  bool
}

// Open starts the groups that are defined in the log.
func Open(ctx context.Context, options Options) (*Subsystem, error) {
	s := &Subsystem{options: options, ended: make(chan struct{}), groups: map[string]*group{}}
	definitions, err := loadDefinitions(ctx, options.Log, options.Logger)
	if err != nil {
		return nil, err
	}
	if err := s.startAll(ctx, definitions); err != nil {
		s.stopAll(ErrClosed)
		return nil, err
	}
	s.clock.Go(s.watchClock)
	return s, nil
}

// watchClock looks at the clock once a second, and at once when it has been set.
func (s *Subsystem) watchClock() {
	ticker := time.NewTicker(time.Second)
	defer ticker.Stop()
	wake := s.options.Wake
	for {
		select {
		case <-ticker.C:
		case _, open := <-wake:
			if !open {
				wake = nil
			}
		case <-s.ended:
			return
		}
		s.mu.RLock()
		for _, g := range s.groups {
			g.tick()
		}
		s.mu.RUnlock()
	}
}

// Close ends all groups; their consumers get ErrClosed. When it returns the log is not used any more.
func (s *Subsystem) Close() {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return
	}
	s.closed = true
	s.stopAll(ErrClosed)
	s.mu.Unlock()
	close(s.ended)
	s.clock.Wait()
}

// Restart ends all groups, as after an update, and starts those that the log defines now. When their definitions cannot be
// read the groups go on as they are; one whose checkpoint cannot be read stays defined, and waits for the next restart.
func (s *Subsystem) Restart(ctx context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	definitions, err := loadDefinitions(ctx, s.options.Log, s.options.Logger)
	if err != nil {
		return err
	}
	s.stopAll(ErrDropped)
	return s.startAll(ctx, definitions)
}

// startAll starts as many groups as it can. Those that cannot be started stay defined.
func (s *Subsystem) startAll(ctx context.Context, definitions []Definition) error {
	s.defined = map[string]Definition{}
	for _, d := range definitions {
		s.defined[d.Key()] = d
	}
	var errs []error
	for _, d := range s.defined {
		errs = append(errs, s.resume(ctx, d))
	}
	return errors.Join(errs...)
}

func (s *Subsystem) stopAll(why error) {
	for key, g := range s.groups {
		g.stop(why)
		delete(s.groups, key)
	}
}

// resume starts a group behind its checkpoint if there is one in the log.
func (s *Subsystem) resume(ctx context.Context, d Definition) error {
	place, found, err := loadCheckpoint(ctx, s.options.Log, d)
	if err == nil {
		s.start(d, place, found)
	}
	return err
}

// start begins behind the checkpoint if there is one.
func (s *Subsystem) start(d Definition, place int64, checkpointed bool) {
	next := d.Begin
	if checkpointed {
		next = max(place, place+1) // the last number there is stays
	}
	now := s.options.Now()
	g := &group{
		definition: d, log: s.options.Log, now: s.options.Now, logger: s.options.Logger,
		toRead: make(signal, 1), toWrite: make(signal, 1),
		reading:  reading{next: next, followed: -1},
		strategy: newStrategy(d.Settings.Strategy),
		meter:    meter{started: now},
		known:    map[uuid.UUID][]*message{},
	}
	g.backlog.seen.place = next - 1
	g.parked.seen.place = -1
	g.checkpoint = checkpoint{exists: checkpointed, at: now, written: g.backlog.seen}
	g.ctx, g.cancel = context.WithCancel(context.Background())
	g.running.Add(2)
	go g.readLoop()
	go g.writeLoop()
	s.groups[d.Key()] = g
}

// define stores all definitions with d among them.
func (s *Subsystem) define(ctx context.Context, d Definition) error {
	defined := maps.Clone(s.defined)
	defined[d.Key()] = d
	return s.redefine(ctx, defined)
}

// redefine stores the definitions of all groups.
func (s *Subsystem) redefine(ctx context.Context, defined map[string]Definition) error {
	if err := saveDefinitions(ctx, s.options.Log, s.options.Now(), defined); err != nil {
		return err
	}
	s.defined = defined
	return nil
}

// definition returns what the group of a source is, whether it runs or not. It is called under the lock.
func (s *Subsystem) definition(stream, name string) (Definition, error) {
	if s.closed {
		return Definition{}, ErrClosed
	}
	d, ok := s.defined[Key(stream, name)]
	if !ok || d.Stream != stream {
		return Definition{}, ErrNotFound
	}
	return d, nil
}

// find returns the running group of a source. It is called under the lock.
func (s *Subsystem) find(stream, name string) (*group, error) {
	if s.closed {
		return nil, ErrClosed
	}
	g, ok := s.groups[Key(stream, name)]
	if !ok || g.definition.Stream != stream {
		return nil, ErrNotFound
	}
	return g, nil
}

// Create adds a group. Its stream need not exist.
func (s *Subsystem) Create(ctx context.Context, d Definition) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return ErrClosed
	}
	if err := d.validate(); err != nil {
		return err
	}
	if _, exists := s.defined[d.Key()]; exists {
		return ErrExists
	}
	if err := s.settleBegin(ctx, &d); err != nil {
		return err
	}
	// An earlier group of this name that was only half deleted leaves nothing behind.
	if err := s.clear(ctx, d); err != nil {
		return err
	}
	if err := s.define(ctx, d); err != nil {
		return err
	}
	s.start(d, 0, false)
	return nil
}

// Update replaces the settings and the start of a group, keeps its filter, and drops its consumers. A group that has a
// checkpoint continues behind that.
func (s *Subsystem) Update(ctx context.Context, d Definition) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	old, err := s.definition(d.Stream, d.Group)
	if err != nil {
		return err
	}
	d.Filter = old.Filter
	if err := d.validate(); err != nil {
		return err
	}
	if err := s.settleBegin(ctx, &d); err != nil {
		return err
	}
	if err := s.define(ctx, d); err != nil {
		return err
	}
	running, ok := s.groups[d.Key()]
	if !ok {
		return s.resume(context.WithoutCancel(ctx), d)
	}
	running.stop(ErrDropped)
	s.start(d, running.checkpoint.written.place, running.checkpoint.exists)
	return nil
}

// Delete removes a group with its checkpoint and its parked events, and drops its consumers.
func (s *Subsystem) Delete(ctx context.Context, stream, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	d, err := s.definition(stream, name)
	if err != nil {
		return err
	}
	defined := maps.Clone(s.defined)
	delete(defined, d.Key())
	if err := s.redefine(ctx, defined); err != nil {
		return err
	}
	if running, ok := s.groups[d.Key()]; ok {
		running.stop(ErrDropped)
		delete(s.groups, d.Key())
	}
	return s.clear(context.WithoutCancel(ctx), d)
}

// settleBegin finds out what the start is now.
func (s *Subsystem) settleBegin(ctx context.Context, d *Definition) error {
	last := s.options.Log.LastPosition()
	switch {
	case d.StartFrom != End && d.Stream == All && d.StartFrom > last:
		return &FailedError{Reason: fmt.Sprintf("The start position %s lies beyond the end of the log.", d.PlaceText(d.StartFrom))}
	case d.StartFrom != End:
		d.Begin = d.StartFrom
	case d.Stream == All:
		d.Begin = last + 1
	default:
		stream, err := s.options.Log.Stream(ctx, d.Stream)
		if err != nil {
			return err
		}
		d.Begin = max(stream.Last, stream.Last+1)
	}
	return nil
}

// clear deletes what is stored for a group.
func (s *Subsystem) clear(ctx context.Context, d Definition) error {
	for _, name := range []string{d.checkpointStream(), d.parkedStream()} {
		stream, err := s.options.Log.Stream(ctx, name)
		if err != nil {
			return err
		}
		if !stream.Found() || stream.Tombstoned() {
			continue
		}
		var deleted *eventlog.StreamDeletedError
		if _, err := s.options.Log.Delete(ctx, name, eventlog.Any); err != nil && !errors.As(err, &deleted) {
			return fmt.Errorf("delete %s: %w", name, err)
		}
	}
	return nil
}

// Connect adds a consumer that wants at most so many unfinished events.
func (s *Subsystem) Connect(stream, name string, slots int, peer Peer) (*Consumer, error) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	g, err := s.find(stream, name)
	if err != nil {
		return nil, err
	}
	return g.connect(slots, peer)
}

// Replay has the parked events of a group delivered again: those below the revision stopAt of the parked stream, or all
// that are there now when stopAt is NoLimit. It does not wait for that.
func (s *Subsystem) Replay(ctx context.Context, stream, name string, stopAt int64) error {
	s.mu.RLock()
	defer s.mu.RUnlock()
	g, err := s.find(stream, name)
	if err != nil {
		return err
	}
	if stopAt < 0 {
		return &FailedError{Reason: "Replaying cannot stop at a negative revision."}
	}
	parked, err := g.log.Stream(ctx, g.definition.parkedStream())
	if err != nil {
		return err
	}
	if parked.Last < 0 || parked.Tombstoned() {
		return nil
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	g.replayTo = max(g.replayTo, min(stopAt, parked.Last+1))
	g.toRead.send()
	return nil
}
