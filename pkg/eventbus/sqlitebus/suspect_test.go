package sqlitebus_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/sqlitebus"
)

// gone is the id of a process that has ended.
func gone(t *testing.T) int {
	t.Helper()
	ended := exec.Command(os.Args[0], "-test.run=^$")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	return ended.Process.Pid
}

// doomed consumes until it is handed the poison, and then is lost with it. It
// reports what came with the poison, or nothing if it consumed everything else.
func doomed(t *testing.T, bus *sqlitebus.Bus, pid, poison int, handled *received) (with []eventbus.Delivery) {
	t.Helper()
	struck := make(chan []eventbus.Delivery, 1)
	subscribe(t, bus, crm(10), func(ctx context.Context, batch []eventbus.Delivery) error {
		if slices.ContainsFunc(batch, func(d eventbus.Delivery) bool { return d.Event.ID == placed(poison).ID }) {
			struck <- batch
			<-ctx.Done()
			return ctx.Err()
		}
		return handled.handle(ctx, batch)
	})
	eventually(t, "it is struck, or there is nothing left", func() bool {
		select {
		case with = <-struck:
			return true
		default:
			depth, err := bus.Depth(within(t), "crm.dead")
			if err != nil {
				t.Fatal(err)
			}
			return depth == 1 && bus.Stats().Acknowledged == bus.Stats().Delivered
		}
	})
	if with != nil {
		if err := bus.Vanish(pid); err != nil {
			t.Fatal(err)
		}
	}
	return with
}

func TestAMessageThatEndsItsConsumersBecomesADeadLetterAndNoOtherDoes(t *testing.T) {
	const poison, count = 27, 60
	path, pid := newPath(t), gone(t)
	bus := open(t, path)
	declare(t, bus, crm(10))
	for n := range count {
		publish(t, bus, placed(n))
	}
	var handled received
	losses := 0
	for ; ; losses++ {
		with := doomed(t, bus, pid, poison, &handled)
		if with == nil {
			break
		}
		if losses > 0 && len(with) != 1 {
			t.Fatalf("lost %d times, the suspect is still handed out with %d others", losses, len(with)-1)
		}
		if losses > 2*sqlitebus.LostLimit {
			t.Fatalf("lost %d consumers and it goes on", losses)
		}
		bus = open(t, path)
	}
	closing(t, bus)
	// The first loss made it a suspect and each later one counted.
	if losses != sqlitebus.LostLimit+1 {
		t.Errorf("a dead letter after %d lost consumers, want %d", losses, sqlitebus.LostLimit+1)
	}
	eventually(t, "all others were handled", func() bool {
		seen := map[string]bool{}
		for _, d := range handled.all() {
			seen[d.Event.ID] = true
		}
		return len(seen) == count-1 && !seen[placed(poison).ID]
	})
	eventually(t, "nothing else is left", func() bool { return counted(t, path, `SELECT count(*) FROM message`) == 1 })
	var dead received
	subscribe(t, bus, eventbus.Queue{Name: "crm.dead"}, dead.handle)
	want := placed(poison)
	want.DataContentType = "application/json"
	if diff := cmp.Diff(eventbus.Delivery{Event: want}, dead.await(t, 1)[0]); diff != "" {
		t.Errorf("the dead letter (-published +kept):\n%s", diff)
	}
}

// What waits in a queue while its consumer stops, or fails, or is failing when
// it is told to stop, is not to blame for it.
func TestFailuresAndStopsAreNotHeldAgainstAMessage(t *testing.T) {
	path, pid := newPath(t), gone(t)
	bus := open(t, path)
	var handled received
	publishThenLose := func() {
		declare(t, bus, crm(10))
		publish(t, bus, placed(0), placed(1))
		if with := doomed(t, bus, pid, 1, &handled); len(with) == 0 {
			t.Fatal("not struck")
		}
	}
	publishThenLose() // from here on both are suspects
	for range 5 {
		bus = open(t, path)
		failed := make(chan struct{}, 100)
		s := subscribe(t, bus, crm(10), func(context.Context, []eventbus.Delivery) error {
			failed <- struct{}{}
			return errors.New("the database is down")
		})
		for range 2 {
			recv(t, "a failed attempt", failed)
		}
		if n := counted(t, path, `SELECT max(lost) FROM delivery`); n != 1 {
			t.Fatalf("counted %d times before it is handed out, want 1: only those that come back count", n)
		}
		if err := s.Close(within(t)); err != nil {
			t.Fatal(err)
		}
		if n := counted(t, path, `SELECT max(lost) FROM delivery`); n != 0 {
			t.Fatalf("%d lost consumers counted after a consumer that stopped", n)
		}
		if err := bus.Close(within(t)); err != nil {
			t.Fatal(err)
		}
	}
}

// Suspects are few, whatever waits behind them.
func TestOnlyWhatALostConsumerMayHaveHeldIsHandedOutAlone(t *testing.T) {
	const count = 500
	path, pid := newPath(t), gone(t)
	bus := open(t, path)
	declare(t, bus, crm(10))
	var events []eventbus.Event
	for n := range count {
		events = append(events, placed(n))
	}
	publish(t, bus, events...)
	if with := doomed(t, bus, pid, 25, &received{}); len(with) != 10 {
		t.Fatalf("struck with %d", len(with))
	}
	var got received
	var sizes []int
	bus = closing(t, open(t, path))
	subscribe(t, bus, crm(10), func(ctx context.Context, batch []eventbus.Delivery) error {
		sizes = append(sizes, len(batch))
		return got.handle(ctx, batch)
	})
	eventually(t, "the last has arrived", func() bool {
		all := got.all()
		return len(all) > 0 && all[len(all)-1].Event.ID == placed(count-1).ID
	})
	alone := slices.IndexFunc(sizes, func(size int) bool { return size > 1 })
	if alone <= 0 || alone > 60 {
		t.Fatalf("%d handed out alone, want those in hand and no more than a few batches", alone)
	}
	for _, d := range got.all()[:alone] {
		if !d.Redelivered {
			t.Errorf("%s may have been handed out before and does not say so", d.Event.ID)
		}
	}
	if last := got.all()[len(got.all())-1]; last.Redelivered {
		t.Errorf("%s says that it may have been handed out before", last.Event.ID)
	}
}

func TestADeadLetterOutlivesTheConsumersOfItsQueue(t *testing.T) {
	path, pid := newPath(t), gone(t)
	bus := open(t, path)
	dead := eventbus.Queue{Name: "crm.dead"}
	declare(t, bus, crm(10))
	bury(t, path, placed(0))
	for range 5 {
		bus.SetLostLimit(1)
		struck := make(chan struct{}, 1)
		subscribe(t, bus, dead, func(ctx context.Context, _ []eventbus.Delivery) error {
			struck <- struct{}{}
			<-ctx.Done()
			return ctx.Err()
		})
		recv(t, "the consumer is struck", struck)
		if err := bus.Vanish(pid); err != nil {
			t.Fatal(err)
		}
		bus = open(t, path)
	}
	var got received
	subscribe(t, closing(t, bus), dead, got.handle)
	if d := got.await(t, 1)[0]; d.Event.ID != placed(0).ID {
		t.Errorf("got %s", d.Event.ID)
	}
}

// bury makes a dead letter of crm's.
func bury(t *testing.T, path string, e eventbus.Event) {
	t.Helper()
	bus := open(t, path)
	publish(t, bus, e)
	if err := bus.Close(within(t)); err != nil {
		t.Fatal(err)
	}
	db := plain(t, path)
	defer db.Close()
	if _, err := db.Exec(`UPDATE delivery SET queue = (SELECT id FROM queue WHERE name = 'crm.dead')`); err != nil {
		t.Fatal(err)
	}
}

func TestUnsubscribingKeepsDeadLetters(t *testing.T) {
	path := newPath(t)
	bus := closing(t, open(t, path))
	for _, letters := range []int{0, 1} {
		s := subscribe(t, bus, crm(10), (&received{}).handle)
		if letters > 0 {
			if err := s.Close(within(t)); err != nil {
				t.Fatal(err)
			}
			bury(t, path, placed(0))
		}
		if err := s.Unsubscribe(within(t)); err != nil {
			t.Fatal(err)
		}
		depth, err := bus.Depth(within(t), "crm.dead")
		if kept := err == nil; depth != letters || kept != (letters > 0) {
			t.Errorf("with %d dead letters: depth %d, %v", letters, depth, err)
		}
	}
}

func TestAMessageThatKillsItsProcessAgainAndAgainIsSetAside(t *testing.T) {
	const limit = 3
	path := newPath(t)
	bus := closing(t, open(t, path))
	declare(t, bus, crm(10))
	for n := range 30 {
		publish(t, bus, placed(n))
	}
	struck := 0
	for ; struck <= 2*limit; struck++ {
		child := startChild(t, "poisoned", path, fmt.Sprintf("%s=%d", childLimit, limit))
		if line := child.next(t); line == "done" {
			child.kill(t)
			break
		}
		child.kill(t)
	}
	if struck != limit+1 {
		t.Errorf("it killed %d processes, want %d", struck, limit+1)
	}
	if depth, err := bus.Depth(within(t), "crm.dead"); depth != 1 || err != nil {
		t.Errorf("%d dead letters, %v", depth, err)
	}
	subscribe(t, bus, crm(10), (&received{}).handle)
	eventually(t, "everything else was handled", func() bool { return counted(t, path, `SELECT count(*) FROM delivery`) == 1 })
}
