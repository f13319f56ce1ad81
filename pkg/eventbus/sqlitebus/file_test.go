package sqlitebus_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/sqlitebus"
)

func counted(t *testing.T, path, query string) (n int) {
	t.Helper()
	db := plain(t, path)
	defer db.Close()
	if err := db.QueryRow(query).Scan(&n); err != nil {
		t.Fatalf("%s: %v", query, err)
	}
	return n
}

func TestAMessageIsStoredOnceAndRemovedWithItsLastDelivery(t *testing.T) {
	path := newPath(t)
	bus := closing(t, open(t, path))
	packing := eventbus.Queue{Name: "packing", Patterns: []string{"order.#"}}
	declare(t, bus, crm(10))
	declare(t, bus, packing)
	for n := range 20 {
		publish(t, bus, placed(n))
	}
	if n := counted(t, path, `SELECT count(*) FROM message`); n != 20 {
		t.Fatalf("%d messages stored for 20 events and two queues", n)
	}
	var got received
	subscribe(t, bus, crm(10), got.handle)
	got.await(t, 20)
	eventually(t, "one queue is empty", func() bool { return counted(t, path, `SELECT count(*) FROM delivery`) == 20 })
	if n := counted(t, path, `SELECT count(*) FROM message`); n != 20 {
		t.Fatalf("%d messages left, want 20 for the other queue", n)
	}
	subscribe(t, bus, packing, got.handle)
	eventually(t, "nothing is left", func() bool { return counted(t, path, `SELECT count(*) FROM message`) == 0 })
}

func TestUnsubscribingLeavesTheOthersWhatIsTheirs(t *testing.T) {
	path := newPath(t)
	bus := closing(t, open(t, path))
	declare(t, bus, crm(10))
	declare(t, bus, eventbus.Queue{Name: "audit", Patterns: []string{"#"}})
	packed := placed(1)
	packed.Type = "packing.events.packed.v1"
	publish(t, bus, placed(0), packed)
	s := subscribe(t, bus, eventbus.Queue{Name: "audit", Patterns: []string{"#"}},
		func(context.Context, []eventbus.Delivery) error { return errors.New("not now") })
	if err := s.Unsubscribe(within(t)); err != nil {
		t.Fatal(err)
	}
	if n := counted(t, path, `SELECT count(*) FROM message`); n != 1 {
		t.Errorf("%d messages left, want the one that crm waits for", n)
	}
}

func TestTheFileIsPrivateAndItsPathTakenLiterally(t *testing.T) {
	path := filepath.Join(t.TempDir(), "new dir", "a?b#c%20d&e.db")
	bus := closing(t, open(t, path))
	publish(t, bus, placed(0))
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode is %v", info.Mode())
	}
}

// What is left is one file, which can be moved or copied.
func TestAClosedBusLeavesOneFileAndHoldsNone(t *testing.T) {
	path := newPath(t)
	bus := open(t, path)
	var got received
	subscribe(t, bus, crm(10), got.handle)
	publish(t, bus, placed(0), placed(1))
	got.await(t, 2)
	if err := bus.Publish(within(t), eventbus.Event{}); err == nil {
		t.Error("published an event without anything")
	}
	if err := bus.Close(within(t)); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(files) != 1 {
		t.Errorf("left are %v, %v; want the one file", files, err)
	}
	open, err := filepath.Glob("/proc/self/fd/*")
	if err != nil {
		t.Fatal(err)
	}
	for _, link := range open { // none where there is no /proc
		if file, err := os.Readlink(link); err == nil && strings.HasPrefix(file, path) {
			t.Errorf("%s is still open", file)
		}
	}
}

func TestAFileOfANewerProgramIsRefused(t *testing.T) {
	path := newPath(t)
	closing(t, open(t, path))
	db := plain(t, path)
	defer db.Close()
	if _, err := db.Exec(`PRAGMA user_version = 99`); err != nil {
		t.Fatal(err)
	}
	if _, err := sqlitebus.Open(t.Context(), sqlitebus.Config{Path: path}); err == nil || !strings.Contains(err.Error(), "99") {
		t.Errorf("got %v, want it refused", err)
	}
}

func TestWhatCannotBeOpenedIsAnError(t *testing.T) {
	garbage := newPath(t)
	if err := os.WriteFile(garbage, []byte(strings.Repeat("this is no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"", t.TempDir(), garbage} {
		if _, err := sqlitebus.Open(t.Context(), sqlitebus.Config{Path: path}); err == nil {
			t.Errorf("%q was opened", path)
		}
	}
}

// While another process holds the file, a publish waits as long as its context
// allows, and what was given up is not published later.
func TestALockedFileIsWaitedFor(t *testing.T) {
	path := newPath(t)
	bus := closing(t, open(t, path))
	declare(t, bus, crm(10))
	release := sqlitebus.HoldFile(t, path)
	first := make(chan error, 1)
	go func() { first <- bus.Publish(within(t), placed(0)) }()
	eventually(t, "the first waits for the file", func() bool { return bus.Stats().InFlight == 1 })
	over, cancel := context.WithCancel(t.Context())
	second := make(chan error, 1)
	go func() { second <- bus.Publish(over, placed(1), placed(2)) }()
	eventually(t, "the second waits, too", func() bool { return bus.Stats().InFlight == 3 })
	cancel()
	if err := <-second; !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want the context's error", err)
	}
	release()
	if err := <-first; err != nil {
		t.Errorf("publish: %v", err)
	}
}

func TestClosingWhileTheFileIsLockedEndsWithTheContext(t *testing.T) {
	path := newPath(t)
	bus := open(t, path)
	release := sqlitebus.HoldFile(t, path)
	published := make(chan error, 1)
	go func() { published <- bus.Publish(within(t), placed(0)) }()
	eventually(t, "the publish waits", func() bool { return bus.Stats().InFlight == 1 })
	over, cancel := context.WithCancel(t.Context())
	cancel()
	if err := bus.Close(over); !errors.Is(err, context.Canceled) {
		t.Errorf("close: %v", err)
	}
	if err := <-published; err == nil {
		t.Error("a publish that nothing stored returned nil")
	}
	release()
}

// Whoever waits for the queue must not have to wait for the lease, too.
func TestClosingInAHurryLetsGoOfTheQueues(t *testing.T) {
	path := newPath(t)
	bus := open(t, path)
	entered, release := make(chan struct{}, 1), make(chan struct{})
	subscribe(t, bus, crm(10), func(context.Context, []eventbus.Delivery) error {
		entered <- struct{}{}
		<-release
		return errors.New("too late")
	})
	publish(t, bus, placed(0))
	recv(t, "the handler has begun", entered)
	now, cancel := context.WithCancel(t.Context())
	cancel()
	if err := bus.Close(now); !errors.Is(err, context.Canceled) {
		t.Errorf("close: %v", err)
	}
	if n := counted(t, path, `SELECT count(*) FROM instance`); n != 0 {
		t.Errorf("%d instances hold leases", n)
	}
	close(release)
}
