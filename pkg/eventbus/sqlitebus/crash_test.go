package sqlitebus_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/sqlitebus"
)

// These tests kill real processes. The test binary starts itself as a child
// that does one thing until it is killed, and says on its standard output what
// it was promised.
const (
	childRole  = "SQLITEBUS_TEST_CHILD"
	childPath  = "SQLITEBUS_TEST_PATH"
	childLimit = "SQLITEBUS_TEST_LIMIT" // of lost consumers
	childFirst = "SQLITEBUS_TEST_FIRST" // number of the first event that is published
)

func TestMain(m *testing.M) {
	switch os.Getenv(childRole) {
	case "publisher":
		childPublishes()
	case "consumer":
		childConsumes()
	case "worker":
		childWorks()
	case "poisoned":
		childIsPoisoned()
	case "measured", "measured-raw":
		childIsMeasured(os.Getenv(childRole) == "measured-raw")
	}
	os.Exit(m.Run())
}

// childPublishes prints an event's number after Publish has returned nil.
func childPublishes() {
	ctx := context.Background()
	bus, err := sqlitebus.Open(ctx, sqlitebus.Config{Path: os.Getenv(childPath)})
	if err != nil {
		panic(err)
	}
	first, _ := strconv.Atoi(os.Getenv(childFirst))
	for n := first; ; n++ {
		if err := bus.Publish(ctx, placed(n)); err != nil {
			panic(err)
		}
		fmt.Println(n)
	}
}

// childWorks prints the number of each event before it is acknowledged.
func childWorks() {
	ctx := context.Background()
	bus, err := sqlitebus.Open(ctx, sqlitebus.Config{Path: os.Getenv(childPath)})
	if err != nil {
		panic(err)
	}
	_, err = bus.Subscribe(ctx, crm(10), func(_ context.Context, batch []eventbus.Delivery) error {
		for _, d := range batch {
			fmt.Println(d.Event.Sequence)
		}
		return nil
	})
	if err != nil {
		panic(err)
	}
	select {}
}

// childConsumes prints what it was handed and never returns from the handler.
func childConsumes() {
	ctx := context.Background()
	bus, err := sqlitebus.Open(ctx, sqlitebus.Config{Path: os.Getenv(childPath)})
	if err != nil {
		panic(err)
	}
	_, err = bus.Subscribe(ctx, crm(10), func(_ context.Context, batch []eventbus.Delivery) error {
		fmt.Println(len(batch))
		select {}
	})
	if err != nil {
		panic(err)
	}
	select {}
}

// childIsPoisoned consumes, stops in the middle of the seventh event for good,
// and prints which one it was; or that there is nothing left to do.
func childIsPoisoned() {
	ctx := context.Background()
	bus, err := sqlitebus.Open(ctx, sqlitebus.Config{Path: os.Getenv(childPath)})
	if err != nil {
		panic(err)
	}
	limit, err := strconv.Atoi(os.Getenv(childLimit))
	if err != nil {
		panic(err)
	}
	bus.SetLostLimit(limit)
	handled := make(chan struct{}, 1000)
	_, err = bus.Subscribe(ctx, crm(10), func(_ context.Context, batch []eventbus.Delivery) error {
		for _, d := range batch {
			if d.Event.ID == placed(7).ID {
				fmt.Println(d.Event.ID)
				select {}
			}
		}
		handled <- struct{}{}
		return nil
	})
	if err != nil {
		panic(err)
	}
	for {
		<-handled
		if depth, err := bus.Depth(ctx, "crm.dead"); err == nil && depth == 1 {
			fmt.Println("done")
			select {}
		}
	}
}

// child is a process to be killed.
type child struct {
	command *exec.Cmd
	lines   chan string // closed when the process has ended
}

func startChild(t testing.TB, role, path string, settings ...string) *child {
	t.Helper()
	executable, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	c := &child{command: exec.Command(executable), lines: make(chan string, 100_000)}
	c.command.Env = append(os.Environ(), childRole+"="+role, childPath+"="+path)
	c.command.Env = append(c.command.Env, settings...)
	c.command.Stderr = os.Stderr
	output, err := c.command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := c.command.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.command.Process.Kill() })
	go c.read(output)
	return c
}

func (c *child) read(output io.Reader) {
	defer close(c.lines)
	for scanner := bufio.NewScanner(output); scanner.Scan(); {
		c.lines <- scanner.Text()
	}
}

// next waits for a line.
func (c *child) next(t testing.TB) string {
	t.Helper()
	select {
	case line, ok := <-c.lines:
		if !ok {
			t.Fatal("the child ended by itself")
		}
		return line
	case <-time.After(patience):
		t.Fatal("the child says nothing")
	}
	panic("unreachable")
}

// await waits for that many lines.
func (c *child) await(t testing.TB, count int) {
	t.Helper()
	for range count {
		c.next(t)
	}
}

// kill is kill -9. It returns the lines that were not awaited.
func (c *child) kill(t testing.TB) (rest []string) {
	t.Helper()
	if err := c.command.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	for line := range c.lines {
		rest = append(rest, line)
	}
	if err := c.command.Wait(); err == nil || !strings.Contains(err.Error(), "killed") {
		t.Fatalf("the child ended with %v, want it killed", err)
	}
	return rest
}

func TestWhatWasPublishedSurvivesKill9(t *testing.T) {
	path := newPath(t)
	bus := closing(t, open(t, path))
	var got received
	subscribe(t, bus, crm(100), got.handle)
	for round := range 3 {
		publisher := startChild(t, "publisher", path)
		publisher.await(t, 50*(round+1))
		promised := 50*(round+1) + len(publisher.kill(t))
		eventually(t, fmt.Sprintf("all %d that Publish has returned for", promised), func() bool {
			return got.has(promised)
		})
		got.clear()
	}
}

func TestWhatAKilledConsumerHeldIsHandedOutAtOnce(t *testing.T) {
	path := newPath(t)
	bus := closing(t, open(t, path))
	declare(t, bus, crm(10))
	for n := range 25 {
		publish(t, bus, placed(n))
	}
	consumer := startChild(t, "consumer", path)
	consumer.await(t, 1)
	var got received
	s := subscribe(t, bus, crm(10), got.handle)
	eventually(t, "it stands by", func() bool { return s.Ready() == nil })
	if n := len(got.all()); n != 0 {
		t.Fatalf("got %d events while another process holds the queue", n)
	}
	consumer.kill(t)
	began := time.Now()
	all := got.await(t, 25)
	t.Logf("taken over after %s", time.Since(began).Round(time.Millisecond))
	for n, d := range all {
		if d.Event.ID != placed(n).ID || !d.Redelivered {
			t.Fatalf("delivery %d is %s, redelivered %v; want order kept and the doubt told", n, d.Event.ID, d.Redelivered)
		}
	}
}

// Publishers and consumers are processes of their own on one file, and any of
// them is killed at any moment.
func TestProcessesKilledAtRandomLoseNothing(t *testing.T) {
	rounds := 8
	if os.Getenv("TEST_LONG") == "1" {
		rounds = 80
	}
	path := newPath(t)
	bus := closing(t, open(t, path))
	declare(t, bus, crm(10))
	var promised, handled []string
	first := 0
	startPublisher := func() *child {
		first += 1_000_000
		return startChild(t, "publisher", path, fmt.Sprintf("%s=%d", childFirst, first))
	}
	startWorker := func() *child { return startChild(t, "worker", path) }
	publishers := []*child{startPublisher(), startPublisher()}
	workers := []*child{startWorker(), startWorker()}
	for range rounds {
		switch n := rand.IntN(4); n {
		case 0, 1:
			promised = append(promised, publishers[n].next(t))
			promised = append(promised, publishers[n].kill(t)...)
			publishers[n] = startPublisher()
		default:
			// Whichever of them has the queue; the other may be standing by.
			eventually(t, "something is being handled", func() bool { return len(workers[0].lines)+len(workers[1].lines) > 0 })
			handled = append(handled, workers[n-2].kill(t)...)
			workers[n-2] = startWorker()
		}
	}
	for _, c := range publishers {
		promised = append(promised, c.next(t))
		promised = append(promised, c.kill(t)...)
	}
	for _, c := range workers {
		handled = append(handled, c.kill(t)...)
	}
	var rest received
	subscribe(t, bus, crm(100), rest.handle)
	eventually(t, "the queue is empty", func() bool { return counted(t, path, `SELECT count(*) FROM delivery`) == 0 })
	arrived := map[string]bool{}
	for _, n := range handled {
		arrived[n] = true
	}
	for _, d := range rest.all() {
		arrived[fmt.Sprint(d.Event.Sequence)] = true
	}
	lost := 0
	for _, n := range promised {
		if !arrived[n] {
			lost++
		}
	}
	if lost > 0 || len(promised) == 0 {
		t.Errorf("%d of %d events lost", lost, len(promised))
	}
	t.Logf("%d published, %d handled by processes that were killed, %d by the last", len(promised), len(handled), len(rest.all()))
}
