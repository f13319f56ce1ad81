package sqlitebus

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"testing"
	"time"

	"orderflow/pkg/eventbus"
)

func openBus(t *testing.T) *Bus {
	t.Helper()
	b, err := Open(t.Context(), Config{Path: filepath.Join(t.TempDir(), "bus.db")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := b.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return b
}

func TestEveryCommitReachesTheDisk(t *testing.T) {
	b := openBus(t)
	if err := b.writer.do(t.Context(), &job{alone: func(ctx context.Context, conn *sql.Conn) error {
		var synchronous int
		var journal string
		if err := conn.QueryRowContext(ctx, `PRAGMA synchronous`).Scan(&synchronous); err != nil {
			return err
		}
		if err := conn.QueryRowContext(ctx, `PRAGMA journal_mode`).Scan(&journal); err != nil {
			return err
		}
		if synchronous != 2 || journal != "wal" {
			return fmt.Errorf("synchronous is %d, journal_mode %s", synchronous, journal)
		}
		return nil
	}}); err != nil {
		t.Error(err)
	}
}

// other makes the queue look as if another instance consumed it.
func other(t *testing.T, b *Bus, host string, pid int, expires int64) {
	t.Helper()
	if err := b.writer.do(t.Context(), &job{alone: func(ctx context.Context, conn *sql.Conn) error {
		if _, err := conn.ExecContext(ctx, `INSERT OR REPLACE INTO instance VALUES ('other', ?, ?, ?)`, host, pid, expires); err != nil {
			return err
		}
		_, err := conn.ExecContext(ctx, `UPDATE queue SET owner = 'other', turn = turn + 1 WHERE name = 'crm'`)
		return err
	}}); err != nil {
		t.Fatal(err)
	}
}

func standingBy(b *Bus) *subscription {
	s := &subscription{bus: b, queue: eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}}}
	return s
}

func TestALeaseIsTakenFromThoseWhoAreGone(t *testing.T) {
	ended := exec.Command(os.Args[0], "-test.run=^$")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	gone := ended.Process.Pid
	const past, future = 1, math.MaxInt64
	b := openBus(t)
	for _, c := range []struct {
		name    string
		host    string
		pid     int
		expires int64
		taken   bool
	}{
		{"a live instance elsewhere", "elsewhere", 1, future, false},
		{"a process that may live elsewhere", "elsewhere", gone, future, false},
		{"a silent instance elsewhere", "elsewhere", 1, past, true},
		{"a live process here", b.place(), os.Getpid(), future, false},
		{"a process here that is gone", b.place(), gone, future, true},
	} {
		s := standingBy(b)
		if err := b.declare(t.Context(), s, true); err != nil {
			t.Fatal(err)
		}
		other(t, b, c.host, c.pid, c.expires)
		taken, err := b.takeLease(t.Context(), s)
		if err != nil || taken != c.taken {
			t.Errorf("%s: taken %v, %v; want %v", c.name, taken, err, c.taken)
		}
	}
}

func TestALeaseThatWasTakenAwayIsNoticed(t *testing.T) {
	b := openBus(t)
	s := standingBy(b)
	if err := b.declare(t.Context(), s, true); err != nil {
		t.Fatal(err)
	}
	if taken, err := b.takeLease(t.Context(), s); !taken || err != nil {
		t.Fatalf("taken %v, %v", taken, err)
	}
	if held, err := b.stillHeld(t.Context(), s); !held || err != nil {
		t.Fatalf("held %v, %v", held, err)
	}
	other(t, b, "elsewhere", 1, math.MaxInt64)
	if held, err := b.stillHeld(t.Context(), s); held || err != nil {
		t.Errorf("held %v, %v after another instance took over", held, err)
	}
	// Letting go late must not take the queue from its new owner.
	if err := b.releaseLease(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	if l, err := readLease(t.Context(), b.db, s.id.Load()); err != nil || l.owner.String != "other" {
		t.Errorf("owner is %q, %v", l.owner.String, err)
	}
}

func TestALeaseOutlastsItsRenewal(t *testing.T) {
	b := openBus(t)
	if err := b.writer.do(t.Context(), &job{alone: b.renew}); err != nil {
		t.Fatal(err)
	}
	var expires int64
	if err := b.db.QueryRow(`SELECT expires FROM instance WHERE id = ?`, b.instance).Scan(&expires); err != nil {
		t.Fatal(err)
	}
	if left := time.Until(time.UnixMicro(expires)); left < renewEvery || left > leaseTime {
		t.Errorf("the lease has %s left, renewed every %s", left, renewEvery)
	}
}

// A job that cannot be stored must not take others of its transaction with it.
func TestOneBadJobDoesNotSpoilTheGroup(t *testing.T) {
	b := openBus(t)
	event := func(id string) eventbus.Event {
		return eventbus.Event{ID: id, Source: "s", Type: "order.events.placed.v1", Subject: "o", Time: time.Now()}
	}
	good := &job{ctx: t.Context(), done: make(chan struct{}), publish: []eventbus.Event{event("good")}}
	command := event("command")
	command.Type = "order.commands.cancel.v1"
	refused := &job{ctx: t.Context(), done: make(chan struct{}), publish: []eventbus.Event{event("lost"), command}}
	over, cancel := context.WithCancel(t.Context())
	cancel()
	late := &job{ctx: over, done: make(chan struct{}), publish: []eventbus.Event{event("late")}}
	also := &job{ctx: t.Context(), done: make(chan struct{}), publish: []eventbus.Event{event("also")}}
	b.writer.mu.Lock()
	b.writer.pending = append(b.writer.pending, good, refused, late, also)
	b.writer.mu.Unlock()
	b.writer.kick <- struct{}{}
	for _, j := range []*job{good, refused, late, also} {
		<-j.done
	}
	if good.err != nil || also.err != nil || refused.err == nil || late.err == nil {
		t.Errorf("good %v, also %v; refused %v, late %v", good.err, also.err, refused.err, late.err)
	}
	if depth, err := b.Depth(t.Context(), eventbus.Unrouted); depth != 2 || err != nil {
		t.Errorf("%d events stored, %v; want the two good ones", depth, err)
	}
}

// The writer starts over with a new connection after an error of the file.
func TestTheWriterRecoversFromABrokenConnection(t *testing.T) {
	b := openBus(t)
	err := b.writer.do(t.Context(), &job{alone: func(ctx context.Context, conn *sql.Conn) error {
		_, err := conn.ExecContext(ctx, `SELECT * FROM no_such_table`)
		return err
	}})
	if err == nil || b.Ready() == nil {
		t.Fatalf("got %v, and ready %v", err, b.Ready())
	}
	event := eventbus.Event{ID: "1", Source: "s", Type: "order.events.placed.v1", Subject: "o", Time: time.Now()}
	if err := b.Publish(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	if err := b.Ready(); err != nil {
		t.Errorf("not ready after a publish that went well: %v", err)
	}
}

// What was handed out and could not be acknowledged is still in the queue, and
// must not be skipped because it was taken once.
func TestAnAcknowledgementThatFailedIsMadeUpFor(t *testing.T) {
	b := openBus(t)
	if err := b.writer.do(t.Context(), &job{alone: func(context.Context, *sql.Conn) error {
		return errors.Join(b.writer.session.ack.Close(), b.writer.session.ackRange.Close()) // the next one to acknowledge gets an error
	}}); err != nil {
		t.Fatal(err)
	}
	handed := make(chan eventbus.Delivery, 10)
	queue := eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}}
	_, err := b.Subscribe(t.Context(), queue, func(_ context.Context, batch []eventbus.Delivery) error {
		for _, d := range batch {
			handed <- d
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	event := eventbus.Event{ID: "1", Source: "s", Type: "order.events.placed.v1", Subject: "o", Time: time.Now()}
	if err := b.Publish(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	if first, second := <-handed, <-handed; first.Redelivered || !second.Redelivered || second.Event.ID != "1" {
		t.Errorf("handed out %+v and then %+v", first, second)
	}
	event.ID = "2"
	if err := b.Publish(t.Context(), event); err != nil {
		t.Fatal(err)
	}
	if third := <-handed; third.Event.ID != "2" {
		t.Errorf("handed out %s again", third.Event.ID)
	}
}

// A process that was stopped for longer than its lease goes on where it was. It
// must not go on for long beside the consumer that has the queue now.
func TestAConsumerWhoseLeaseWasTakenStopsWhileThereIsStillWork(t *testing.T) {
	const events = 50
	b := openBus(t)
	handed, release := make(chan string, events), make(chan struct{})
	queue := eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}, BatchSize: 1}
	s, err := b.Subscribe(t.Context(), queue, func(_ context.Context, batch []eventbus.Delivery) error {
		handed <- batch[0].Event.ID
		<-release
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for n := range events {
		event := eventbus.Event{ID: fmt.Sprint(n), Source: "s", Type: "order.events.placed.v1", Subject: "o", Time: time.Now()}
		if err := b.Publish(t.Context(), event); err != nil {
			t.Fatal(err)
		}
	}
	<-handed
	other(t, b, "elsewhere", 1, math.MaxInt64)
	close(release)
	consumer := s.(*subscription)
	for deadline := time.Now().Add(30 * time.Second); consumer.active.Load(); runtime.Gosched() {
		if time.Now().After(deadline) {
			t.Fatal("it goes on")
		}
	}
	if more := len(handed); more > maxAcking {
		t.Errorf("it handled %d more", more)
	}
	if err := s.Ready(); err != nil {
		t.Errorf("it stands by, and is not ready: %v", err)
	}
	if err := b.writer.do(t.Context(), &job{alone: func(ctx context.Context, conn *sql.Conn) error {
		_, err := conn.ExecContext(ctx, `UPDATE queue SET owner = NULL WHERE name = 'crm'`)
		return err
	}}); err != nil {
		t.Fatal(err)
	}
	for last := ""; last != fmt.Sprint(events-1); last = <-handed {
		_ = last
	}
}
