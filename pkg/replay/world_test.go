package replay_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/sqlitebus"
	"orderflow/pkg/replay"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var errAway = errors.New("it is away")

// past is a history of count events of a few orders; the n-th has position 10n.
type past struct {
	count    int
	page     int
	commands bool // each event is followed by a command
	bytes    int  // of the data of an event, unless 0

	mu      sync.Mutex
	err     error // what reading ends with
	pending bool  // something is on its way to the bus still
	read    int   // events handed out
}

func happened(n int) eventbus.Event {
	typ := "order.events.placed.v1"
	if n%5 == 4 {
		typ = "order.events.cancelled.v1"
	}
	return eventbus.Event{
		ID: fmt.Sprint(n), Source: "/orderflow/order", Type: typ, Subject: fmt.Sprint("order-", n%7),
		Time: time.Unix(1_800_000_000+int64(n), 0).UTC(), Data: []byte(`{}`), DataContentType: "application/json", Sequence: int64(n),
	}
}

func (p *past) set(change func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	change()
}

func (p *past) state() (read int, pending bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.read, p.pending, p.err
}

func (p *past) End(ctx context.Context) (int64, error) {
	for {
		_, pending, err := p.state()
		if err != nil || !pending {
			return int64(p.count) * 10, err
		}
		select {
		case <-ctx.Done():
			return 0, ctx.Err()
		case <-time.After(time.Millisecond):
		}
	}
}

func (p *past) Read(ctx context.Context, after, end int64, handle func(context.Context, []eventbus.Event, int64) error) error {
	for n := int(after / 10); n < int(end/10); n += p.page {
		if _, _, err := p.state(); err != nil {
			return err
		}
		var events []eventbus.Event
		last := min(n+p.page, int(end/10))
		for i := n; i < last; i++ {
			event := happened(i + 1)
			if p.bytes > 0 {
				event.Data = make([]byte, p.bytes)
			}
			events = append(events, event)
			if p.commands {
				asked := happened(i + 1)
				asked.ID, asked.Type = asked.ID+"-command", "packing.commands.return_to_stock.v1"
				events = append(events, asked)
			}
		}
		p.set(func() { p.read += len(events) })
		if err := handle(ctx, events, int64(last)*10); err != nil {
			return err
		}
	}
	return nil
}

// faulty is a bus that does what a test tells it to before it sends.
type faulty struct {
	eventbus.Bus

	mu     sync.Mutex
	before func(events []eventbus.Event) error
	sent   int
}

func (b *faulty) set(before func(events []eventbus.Event) error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.before = before
}

func (b *faulty) count() int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.sent
}

func (b *faulty) Send(ctx context.Context, queue string, events ...eventbus.Event) error {
	b.mu.Lock()
	before := b.before
	b.mu.Unlock()
	if before != nil {
		if err := before(events); err != nil {
			return err
		}
	}
	err := b.Bus.Send(ctx, queue, events...)
	b.mu.Lock()
	defer b.mu.Unlock()
	if err == nil {
		b.sent += len(events)
	}
	return err
}

// world is a publisher with a past, and a bus.
type world struct {
	t       *testing.T
	db      sqldb.DB
	bus     *faulty
	past    *past
	options replay.Options
	replays *replay.Replays
}

func each(t *testing.T, fn func(t *testing.T, w *world)) {
	t.Helper()
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) { fn(t, newWorld(t, db)) })
}

func newWorld(t *testing.T, db sqldb.DB) *world {
	t.Helper()
	bus, err := sqlitebus.Open(t.Context(), sqlitebus.Config{Path: filepath.Join(t.TempDir(), "bus.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := bus.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	if err := replay.Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	w := &world{
		t: t, db: db, bus: &faulty{Bus: bus}, past: &past{count: 1000, page: 30},
		options: replay.Options{Window: 100, Poll: 5 * time.Millisecond, LeaseTTL: 2 * time.Second},
	}
	w.replays = w.another()
	return w
}

// another is the publisher in one more process.
func (w *world) another() *replay.Replays {
	return replay.New(w.db, w.bus, w.past, slog.New(slog.DiscardHandler), w.options)
}

// run runs replays as the kit does it: again after an error.
func (w *world) run(replays *replay.Replays) (stop func()) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		for ctx.Err() == nil {
			if err := replays.Run(ctx); err != nil && !sqldb.IsUnavailable(err) && !errors.Is(err, sqldb.ErrFenced) {
				w.t.Errorf("replays ended with %v", err)
			}
		}
	}()
	stop = sync.OnceFunc(func() { cancel(); <-done })
	w.t.Cleanup(stop)
	return stop
}

// queue makes the queue of a consumer; nobody takes from it.
func (w *world) queue(name string, patterns ...string) {
	w.t.Helper()
	s, err := w.bus.Subscribe(w.t.Context(), eventbus.Queue{Name: name, Patterns: patterns}, func(context.Context, []eventbus.Delivery) error { return nil })
	if err != nil {
		w.t.Fatal(err)
	}
	if err := s.Close(w.t.Context()); err != nil {
		w.t.Fatal(err)
	}
}

// consumer notes what arrives, each event once, as an inbox does.
type consumer struct {
	mu    sync.Mutex
	ids   []string
	seen  map[string]bool
	total int
	live  int
}

func (w *world) consume(name string, patterns ...string) *consumer {
	w.t.Helper()
	c := &consumer{seen: map[string]bool{}}
	if _, err := w.bus.Subscribe(w.t.Context(), eventbus.Queue{Name: name, Patterns: patterns}, c.handle); err != nil {
		w.t.Fatal(err)
	}
	return c
}

func (c *consumer) handle(_ context.Context, batch []eventbus.Delivery) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, d := range batch {
		c.total++
		if !d.Event.Replayed {
			c.live++
		}
		if !c.seen[d.Event.ID] {
			c.seen[d.Event.ID] = true
			c.ids = append(c.ids, d.Event.ID)
		}
	}
	return nil
}

func (c *consumer) got() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	return slices.Clone(c.ids)
}

// has waits until the consumer has as many different events, and fails unless
// these are the ones, in this order.
func (c *consumer) has(t *testing.T, want []string) {
	t.Helper()
	sqldbtest.Eventually(t, fmt.Sprintf("%d events have arrived", len(want)), func() bool { return len(c.got()) >= len(want) })
	if got := c.got(); !slices.Equal(got, want) {
		t.Errorf("%d events arrived: %.20q", len(got), got)
	}
}

// numbers are the ids from one to another.
func numbers(from, to int) (ids []string) {
	for n := from; n <= to; n++ {
		ids = append(ids, fmt.Sprint(n))
	}
	return ids
}

func (w *world) begin(wish replay.Wish) replay.Job {
	w.t.Helper()
	job, err := w.replays.Begin(w.t.Context(), wish)
	if err != nil {
		w.t.Fatal(err)
	}
	return job
}

func (w *world) job(id string) replay.Job {
	w.t.Helper()
	job, err := w.replays.Job(w.t.Context(), id)
	if err != nil {
		w.t.Fatal(err)
	}
	return job
}

// becomes waits until a replay has a status.
func (w *world) becomes(id string, status replay.Status) replay.Job {
	w.t.Helper()
	var job replay.Job
	sqldbtest.Eventually(w.t, "the replay is "+string(status), func() bool {
		job = w.job(id)
		return job.Status == status
	})
	return job
}
