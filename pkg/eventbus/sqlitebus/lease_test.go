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
	if err := b.letGo(t.Context(), release{queue: s.id.Load(), turn: s.turn.Load()}); err != nil {
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

// A lease is renewed for all queues of a bus at once. One that could not be
// released would be kept for as long as the bus has another consumer.
func TestALeaseThatCouldNotBeReleasedIsReleasedLater(t *testing.T) {
	b := openBus(t)
	crm := eventbus.Queue{Name: "crm", Patterns: []string{"order.#"}}
	handed := make(chan string, 10)
	consume := func(b *Bus, q eventbus.Queue, name string) eventbus.Subscription {
		s, err := b.Subscribe(t.Context(), q, func(context.Context, []eventbus.Delivery) error {
			handed <- name
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return s
	}
	consume(b, eventbus.Queue{Name: "packing", Patterns: []string{"packing.#"}}, "another queue")
	first := consume(b, crm, "first")
	publish := func(id string) {
		event := eventbus.Event{ID: id, Source: "s", Type: "order.events.placed.v1", Subject: "o", Time: time.Now()}
		if err := b.Publish(t.Context(), event); err != nil {
			t.Fatal(err)
		}
	}
	publish("1")
	if got := <-handed; got != "first" {
		t.Fatalf("%s has it", got)
	}
	elsewhere, err := Open(t.Context(), Config{Path: b.path})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := elsewhere.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	consume(elsewhere, crm, "second")

	change := func(statement string) {
		if err := b.writer.do(t.Context(), &job{alone: func(ctx context.Context, conn *sql.Conn) error {
			_, err := conn.ExecContext(ctx, statement)
			return err
		}}); err != nil {
			t.Fatal(err)
		}
	}
	change(`CREATE TRIGGER refused BEFORE UPDATE ON queue WHEN NEW.owner IS NULL BEGIN SELECT RAISE(ABORT, 'not now'); END`)
	if err := first.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if l, err := readLease(t.Context(), b.db, first.(*subscription).id.Load()); err != nil || l.owner.String != b.instance {
		t.Fatalf("the lease was to stay with the first; it has %q, %v", l.owner.String, err)
	}
	change(`DROP TRIGGER refused`)
	publish("2")
	select {
	case got := <-handed:
		if got != "second" {
			t.Errorf("%s has it", got)
		}
	case <-time.After(time.Minute):
		t.Error("nobody takes over")
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
