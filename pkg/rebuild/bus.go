package rebuild

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/inbox"
	"orderflow/pkg/sqldb"
)

// QueueSuffix ends the name of the queue that fills a new model: replays go to
// <service>.rebuild.
const QueueSuffix = ".rebuild"

// stopWithin is how long a batch under way may take when filling stops.
const stopWithin = 10 * time.Second

// markPatience is how long nothing comes before another mark is sent.
const markPatience = 3 * time.Second

// batchSize is what one transaction of the inbox takes.
const batchSize = 500

// BusFeed is what [FromBus] fills a model with.
type BusFeed struct {
	Bus eventbus.Bus
	// Inbox is one over the new place, under the name of its Consumer, with the
	// handlers of the model: those that write to its tables, registered with
	// inbox.On or OnBatch. One that has an effect elsewhere would have it again.
	Consumer string
	Inbox    *inbox.Inbox
	DB       sqldb.DB
	// Also are loops of the model itself that go on meanwhile.
	Also []func(context.Context) error
}

// FromBus fills a model from the bus.
func FromBus(b BusFeed) Feed {
	return &busFeed{
		bus: b.Bus, consumer: b.Consumer, in: b.Inbox, db: b.DB, also: b.Also,
		token: uuid.NewString(), missing: map[string]missing{},
	}
}

type busFeed struct {
	bus      eventbus.Bus
	consumer string
	in       *inbox.Inbox
	db       sqldb.DB
	also     []func(context.Context) error
	// covered is up to when the live inbox has nothing that the new one lacks.
	covered int64
	// token tells the marks of this feed from those of another process; sent and
	// passed are the numbers of the last one that was sent and that has come.
	token        string
	sent, passed atomic.Int64
	// missing are the events that the new inbox lacks and the live one has, by
	// their ids, with what tells whether a mark that was sent since has passed.
	missing map[string]missing
}

type missing struct {
	known

	passed func() bool
}

func (f *busFeed) queue() eventbus.Queue {
	return eventbus.Queue{Name: f.consumer + QueueSuffix, Patterns: f.in.Patterns(), BatchSize: batchSize}
}

// dead is the queue of what the broker gave up on its way to the new model.
func (f *busFeed) dead() eventbus.Queue {
	return eventbus.Queue{Name: f.queue().Name + eventbus.DeadSuffix}
}

// Run consumes the queue. From when that is bound, nothing is missed. Who is
// forgotten meanwhile is forgotten here as well.
func (f *busFeed) Run(ctx context.Context, filling func()) error {
	for _, consumed := range []struct {
		queue  eventbus.Queue
		handle eventbus.Handler
	}{{f.queue(), f.handle}, {f.dead(), f.in.HandleDead}} {
		subscription, err := f.bus.Subscribe(ctx, consumed.queue, consumed.handle)
		if err != nil {
			return err
		}
		defer func() {
			stop, cancel := context.WithTimeout(context.WithoutCancel(ctx), stopWithin)
			defer cancel()
			_ = subscription.Close(stop) // what it had is delivered again
		}()
	}
	filling()
	loops, ctx := errgroup.WithContext(ctx)
	scrub := func(ctx context.Context) error { return f.in.Scrub(ctx, f.bus.Scrub) }
	for _, loop := range append(slices.Clone(f.also), f.in.Run, scrub, f.repeatMarks) {
		loops.Go(func() error {
			err := loop(ctx)
			if err == nil && ctx.Err() == nil {
				err = errors.New("a loop ended by itself")
			}
			return err
		})
	}
	return loops.Wait()
}

// handle takes in what comes, and notes the marks that are behind it.
func (f *busFeed) handle(ctx context.Context, batch []eventbus.Delivery) error {
	if err := f.in.Handle(ctx, batch); err != nil {
		return err
	}
	for _, d := range batch {
		if d.Event.Type == f.markType() && d.Event.Subject == f.token && d.Event.Sequence > f.passed.Load() {
			f.passed.Store(d.Event.Sequence)
		}
	}
	return nil
}

func (f *busFeed) markType() string { return f.consumer + ".events.rebuild_mark.v1" }

// mark puts an event that nobody handles at the end of the queue: a queue does
// not tell what is on its way from it. A later mark that comes stands for those
// before it.
func (f *busFeed) mark(ctx context.Context) (passed func() bool, err error) {
	n := f.sent.Add(1)
	err = f.bus.Send(ctx, f.queue().Name, eventbus.Event{
		ID: uuid.NewString(), Source: "/orderflow/" + f.consumer, Type: f.markType(), Subject: f.token, Sequence: n, Time: time.Now().UTC(),
	})
	if err != nil {
		return nil, err
	}
	return func() bool { return f.passed.Load() >= n }, nil
}

// repeatMarks sends another mark when none comes although one should: it may
// have gone to a process that led before this one and was subscribed still, or
// with a queue that was made anew.
func (f *busFeed) repeatMarks(ctx context.Context) error {
	for before := f.passed.Load(); pause(ctx, markPatience, nil); before = f.passed.Load() {
		if now := f.passed.Load(); now == before && now < f.sent.Load() {
			if _, err := f.mark(ctx); err != nil {
				return err
			}
		}
	}
	return nil
}

// Mark marks the end of the queue.
func (f *busFeed) Mark(ctx context.Context) (left func(context.Context) (string, error), err error) {
	passed, err := f.mark(ctx)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context) (string, error) {
		if passed() {
			return "", nil
		}
		depth, err := f.bus.Depth(ctx, f.queue().Name)
		return fmt.Sprintf("history is being taken in; %d events wait", depth), err
	}, nil
}

// Remove removes the queue with what is in it.
func (f *busFeed) Remove(ctx context.Context) error {
	_, err := f.bus.Depth(ctx, f.queue().Name)
	if errors.Is(err, eventbus.ErrNoQueue) {
		return nil
	}
	// The dead letters first: a queue goes with those only if there are none.
	if err := f.unsubscribe(ctx, f.dead()); err != nil {
		return err
	}
	if left, err := f.bus.Depth(ctx, f.dead().Name); err != nil || left > 0 {
		return errors.Join(fmt.Errorf("%d events are left in %s", left, f.dead().Name), err)
	}
	return f.unsubscribe(ctx, f.queue())
}

// unsubscribe removes a queue, or empties one that belongs to the bus.
func (f *busFeed) unsubscribe(ctx context.Context, queue eventbus.Queue) error {
	nothing := func(ctx context.Context, _ []eventbus.Delivery) error { <-ctx.Done(); return ctx.Err() }
	subscription, err := f.bus.Subscribe(ctx, queue, nothing)
	if err != nil {
		return err
	}
	at, cancel := context.WithCancel(ctx)
	cancel() // nothing that is in it is waited for
	_ = subscription.Close(at)
	return subscription.Unsubscribe(ctx)
}

const (
	// clocks is by how much those of two processes of a service may differ.
	clocks = 10 * time.Second
	// taking is how long a transaction may take that notes an event as handled.
	taking = time.Minute
)

// pageSize is how many events are asked about at once. There is no index in the
// order of handling on PostgreSQL, so few large pages cost less.
const pageSize = 5000

// known is an event that an inbox has.
type known struct {
	id, typ, subject string
	receivedAt       int64
	handledAt        int64
	at               int64 // when it happened
}

// Covers looks for events that the live inbox has received since the rebuild
// began: what it had before, history has. What a person has discarded is in no
// model.
func (f *busFeed) Covers(ctx context.Context, live sqldb.Querier, since int64) (lacks string, err error) {
	held, _, err := f.in.Backlog(ctx)
	if err != nil {
		return "", err
	}
	if held > 0 {
		return fmt.Sprintf("%d events are tried again", held), nil
	}
	last := known{handledAt: max(since-clocks.Microseconds(), f.covered-taking.Microseconds())}
	for {
		page, err := f.read(ctx, live, `AND outcome = 'handled' AND (handled_at, id) > ($2, $3) ORDER BY handled_at, id LIMIT $4`, last.handledAt, last.id, pageSize)
		if err != nil {
			return "", err
		}
		if len(page) == 0 {
			f.covered = max(f.covered, last.handledAt)
			return "", nil
		}
		last = page[len(page)-1]
		count, err := f.lacks(ctx, page, since)
		if err != nil {
			return "", err
		}
		if count > 0 {
			return fmt.Sprintf("%d events that the live model has are on their way", count), nil
		}
	}
}

// lacks counts the events of a page that the new inbox is still to get. What the
// live queue was given, this one was given too, unless that was before it was
// bound. So an event that has not come when a mark passes that was sent later
// never will: somebody has published it who has no history to tell.
func (f *busFeed) lacks(ctx context.Context, page []known, since int64) (count int, err error) {
	page = slices.DeleteFunc(page, func(k known) bool { return k.receivedAt < since-clocks.Microseconds() || !f.wants(k) })
	if len(page) == 0 {
		return 0, nil
	}
	ids, never := make([]any, len(page)), map[string]bool{}
	for i, k := range page { // before it is asked what has come
		m, before := f.missing[k.id]
		ids[i], never[k.id] = k.id, before && m.passed()
	}
	taken, err := f.read(ctx, f.db, `AND id IN `+sqldb.List(2, len(ids)), ids...)
	if err != nil {
		return 0, err
	}
	has, err := f.parked(ctx, ids)
	if err != nil {
		return 0, err
	}
	for _, k := range taken {
		has[k.id] = true
	}
	var mark func() bool
	for _, k := range page {
		_, before := f.missing[k.id]
		switch {
		case has[k.id]:
			delete(f.missing, k.id)
			continue
		case never[k.id]:
			continue
		case !before:
			if mark == nil {
				if mark, err = f.mark(ctx); err != nil {
					return 0, err
				}
			}
			f.missing[k.id] = missing{k, mark}
		}
		count++
	}
	return count, nil
}

// wants says that the new model takes such events. The live inbox may have other
// handlers besides those of the model.
func (f *busFeed) wants(k known) bool {
	return slices.ContainsFunc(f.in.Patterns(), func(pattern string) bool { return eventbus.Match(pattern, k.typ) })
}

// parked tells which events the new model could not take in.
func (f *busFeed) parked(ctx context.Context, ids []any) (map[string]bool, error) {
	rows, err := f.db.Query(ctx, `SELECT id FROM inbox_held WHERE consumer = $1 AND status = 'parked' AND id IN `+sqldb.List(2, len(ids)),
		append([]any{f.consumer}, ids...)...)
	if err != nil {
		return nil, err
	}
	parked := map[string]bool{}
	_, err = sqldb.Collect(rows, func(row sqldb.Row) (id string, err error) {
		err = row.Scan(&id)
		parked[id] = true
		return id, err
	})
	return parked, err
}

func (f *busFeed) read(ctx context.Context, q sqldb.Querier, where string, args ...any) ([]known, error) {
	rows, err := q.Query(ctx, `SELECT id, type, subject, received_at, handled_at, time FROM inbox WHERE consumer = $1 `+where, append([]any{f.consumer}, args...)...)
	if err != nil {
		return nil, fmt.Errorf("what inbox %s has: %w", f.consumer, err)
	}
	return sqldb.Collect(rows, func(row sqldb.Row) (k known, err error) {
		return k, row.Scan(&k.id, &k.typ, &k.subject, &k.receivedAt, &k.handledAt, &k.at)
	})
}

// InFlight compares what the two inboxes have of each subject. An event that
// only the new one has may have been forgotten by the live one, which says
// nothing; so it counts only if it happened after the oldest that is remembered
// there was handled.
func (f *busFeed) InFlight(ctx context.Context, live, beside sqldb.Querier, subjects []string, since int64) (map[string]bool, error) {
	if len(subjects) == 0 {
		return nil, nil
	}
	args := make([]any, len(subjects))
	for i, subject := range subjects {
		args[i] = subject
	}
	where := `AND subject IN ` + sqldb.List(2, len(args))
	one, err := f.read(ctx, live, where, args...)
	if err != nil {
		return nil, err
	}
	other, err := f.read(ctx, beside, where, args...)
	if err != nil {
		return nil, err
	}
	remembers := int64(math.MaxInt64)
	err = live.QueryRow(ctx, `SELECT COALESCE(min(handled_at), $2) FROM inbox WHERE consumer = $1`, f.consumer, remembers).Scan(&remembers)
	if err != nil {
		return nil, err
	}
	inFlight := map[string]bool{}
	for _, k := range without(one, other) {
		if f.wants(k) && k.receivedAt >= since-clocks.Microseconds() {
			inFlight[k.subject] = true
		}
	}
	for _, k := range without(other, one) {
		if k.at >= min(remembers, since) {
			inFlight[k.subject] = true
		}
	}
	return inFlight, nil
}

// without returns those that the others do not have.
func without(all, others []known) (left []known) {
	has := map[string]bool{}
	for _, k := range others {
		has[k.id] = true
	}
	for _, k := range all {
		if !has[k.id] {
			left = append(left, k)
		}
	}
	return left
}

// Refused lists the parked events, and those that no history has. Why one was
// parked may quote it, and what is listed here is kept: of an event that tells of
// somebody the reason is left out.
func (f *busFeed) Refused(ctx context.Context, limit int) ([]Difference, error) {
	rows, err := f.db.Query(ctx, `SELECT id, type, subject, reason FROM inbox_held WHERE consumer = $1 AND status = 'parked' ORDER BY seq LIMIT $2`,
		f.consumer, limit)
	if err != nil {
		return nil, fmt.Errorf("what the new model could not take in: %w", err)
	}
	refused, err := sqldb.Collect(rows, func(row sqldb.Row) (d Difference, err error) {
		var id, typ, reason string
		err = row.Scan(&id, &typ, &d.Key, &reason)
		d.Table, d.What = "inbox", "the new model could not take in "+typ+": "+reason
		if f.in.IsPersonal(typ) {
			d.What = "the new model could not take in " + typ + " " + id + "; the log says why"
		}
		return d, err
	})
	for _, m := range f.missing {
		if m.passed() && len(refused) < limit {
			refused = append(refused, Difference{"inbox", m.subject, "no history has " + m.typ + " " + m.id + ", which the live model has"})
		}
	}
	return refused, err
}
