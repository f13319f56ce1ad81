package persistent

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"

	"orderflow/pkg/esdbserver/internal/eventlog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience ends a test that waits for something that does not come.
const patience = 30 * time.Second

// fatal is what a test and a property have in common.
type fatal interface {
	Helper()
	Fatalf(format string, args ...any)
}

// world is a log in memory with the subsystem on it, and a clock that the test sets.
type world struct {
	t   fatal
	mu  sync.Mutex
	at  time.Time
	log *eventlog.Log
	*Subsystem
}

func newWorld(t fatal) *world {
	w := &world{t: t, at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)}
	var err error
	if w.log, err = eventlog.Open(eventlog.Options{WriteTimeout: patience}); err != nil {
		w.t.Fatalf("open the log: %v", err)
	}
	w.open()
	return w
}

// open starts the subsystem, also again after Close: everything but the log is gone then.

func (w *world) open() {
	w.t.Helper()
	now := func() time.Time {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.at
	}
	var err error
	if w.Subsystem, err = Open(context.Background(), Options{Log: w.log, Now: now, Logger: slog.New(slog.DiscardHandler)}); err != nil {
		w.t.Fatalf("open the subsystem: %v", err)
	}
}

// advance moves the clock and has a group look at it.
func (w *world) advance(g *group, d time.Duration) {
	w.mu.Lock()
	w.at = w.at.Add(d)
	w.mu.Unlock()
	g.tick()
}

func (w *world) close() {
	w.t.Helper()
	w.Close()
	if err := w.log.Close(); err != nil {
		w.t.Fatalf("close the log: %v", err)
	}
}

// append writes events of one type to a stream and returns the position of the last.
func (w *world) append(stream, eventType string, n int) int64 {
	w.t.Helper()
	events := make([]eventlog.Proposed, n)
	for i := range events {
		events[i] = eventlog.Proposed{ID: uuid.New(), Type: eventType, Data: []byte("data")}
	}
	appended, err := w.log.Append(context.Background(), stream, eventlog.Any, events)
	if err != nil {
		w.t.Fatalf("append to %s: %v", stream, err)
	}
	return appended.Position
}

// eventually waits for a condition of a group, under its lock.
func (w *world) eventually(g *group, what string, condition func() bool) {
	w.t.Helper()
	for ctx, cancel := context.WithTimeout(context.Background(), patience); ; runtime.Gosched() {
		g.mu.Lock()
		met := condition()
		g.mu.Unlock()
		if met || ctx.Err() != nil {
			cancel()
			if !met {
				w.t.Fatalf("it never comes that %s", what)
			}
			return
		}
	}
}

// group is a running group.
func (w *world) group(stream, name string) *group {
	w.t.Helper()
	g, err := w.find(stream, name)
	if err != nil {
		w.t.Fatalf("group %s of %s: %v", name, stream, err)
	}
	return g
}

func usualSettings(changes ...func(*Settings)) Settings {
	s := Settings{
		MessageTimeout: 30 * time.Second, MaxRetryCount: 10, CheckpointAfter: 2 * time.Second, MinCheckpointCount: 10, MaxCheckpointCount: 1000,
		LiveBufferSize: 500, HistoryBufferSize: 500, ReadBatchSize: 20, Strategy: RoundRobin,
	}
	for _, change := range changes {
		change(&s)
	}
	return s
}

func (w *world) create(d Definition) *group {
	w.t.Helper()
	if err := w.Create(context.Background(), d); err != nil {
		w.t.Fatalf("create %s: %v", d.Key(), err)
	}
	return w.group(d.Stream, d.Group)
}

func (w *world) connect(g *group, slots int) *Consumer {
	w.t.Helper()
	c, err := g.connect(slots, Peer{})
	if err != nil {
		w.t.Fatalf("connect: %v", err)
	}
	return c
}

// receive takes deliveries until there are n, and names them by revision and retry count.
func (w *world) receive(c *Consumer, n int) []string {
	w.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	var got []string
	for len(got) < n {
		deliveries, err := c.Receive(ctx)
		if err != nil {
			w.t.Fatalf("after %v: %v", got, err)
		}
		for _, d := range deliveries {
			got = append(got, fmt.Sprintf("%d(%d)", d.Event.Revision, d.Retries))
		}
	}
	return got
}
