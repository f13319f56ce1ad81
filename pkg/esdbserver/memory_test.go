package esdbserver_test

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// What a server may hold in memory: a fixed part for recent events, stream heads and ids, and for each subscriber the
// page it is being sent, what gRPC buffers for it, and its goroutines. The number of events in the log is no part of it.
const (
	memoryFixed         = 64 << 20
	memoryPerSubscriber = 320 << 10
	memoryStreams       = 500 // that events are spread over, in turn
)

// crowd is many subscribers of every kind on one server.
type crowd struct {
	t           *testing.T
	server      *child
	ctx         context.Context
	events      int // in the log by the end
	readers     sync.WaitGroup
	release     chan struct{} // closed when the slow ones may go on
	subscribers int
}

// TestMemoryIsBoundedHoweverManyEventsAndSubscribers has subscribers that read, read slowly, follow one stream, or never
// read at all. TEST_LONG=1 makes it a million events and a thousand subscribers.
func TestMemoryIsBoundedHoweverManyEventsAndSubscribers(t *testing.T) {
	events, subscribers, limit := 20_000, 100, 5*time.Minute
	if os.Getenv("TEST_LONG") == "1" {
		events, subscribers, limit = 1_000_000, 1000, 40*time.Minute
	}
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	const live = 2 * memoryStreams
	c := &crowd{t: t, server: startChild(t, t.TempDir()), ctx: ctx, events: events + live, release: make(chan struct{})}
	c.load(0, events)
	alone := c.server.memory(t)

	for range subscribers / 2 {
		c.subscribe(allFromStart(), nil)
	}
	for range 2 {
		c.subscribe(allFromStart(), c.readAll)
		c.subscribe(allFromStart(), c.readAllSlowly)
	}
	for i := c.subscribers; i < subscribers; i++ {
		stream := i % memoryStreams
		c.subscribe(streamFromStart(memoryStream(stream)), func(call streams.Streams_ReadClient) error { return c.readStream(call, stream) })
	}
	c.load(events, live)
	close(c.release)
	c.readers.Wait()

	crowded := c.server.memory(t)
	t.Logf("%d events, %d subscribers: %+v", c.events, subscribers, crowded)
	if allowed := memoryFixed + uint64(subscribers)*memoryPerSubscriber; crowded.Heap > allowed {
		t.Errorf("%d bytes are held for %d subscribers, %d are allowed", crowded.Heap, subscribers, allowed)
	}
	if allowed := alone.Goroutines + 3*subscribers; crowded.Goroutines > allowed {
		t.Errorf("%d goroutines run for %d subscribers, %d are allowed", crowded.Goroutines, subscribers, allowed)
	}
	cancel()
	await(t, "the subscribers' goroutines to end", func() bool { return c.server.memory(t).Goroutines <= alone.Goroutines+10 })
	if left := c.server.memory(t); left.Heap > memoryFixed {
		t.Errorf("%d bytes are held when everybody has gone, %d are allowed", left.Heap, memoryFixed)
	}
}

func memoryStream(i int) string { return "load-" + strconv.Itoa(i) }

// load appends events that are numbered through, each run of them to its stream.
func (c *crowd) load(first, n int) {
	c.t.Helper()
	perAppend := n / memoryStreams / 2
	for done := 0; done < n; done += perAppend {
		var events []*streams.AppendReq_ProposedMessage
		for i := range perAppend {
			e := rawEvent(uuid.New(), "loaded")
			e.Data = fmt.Appendf(nil, "%d %0200d", first+done+i, 0)
			events = append(events, e)
		}
		stream := memoryStream(done / perAppend % memoryStreams)
		if _, err := appendRaw(c.ctx, c.server.client, stream, events...); err != nil {
			c.t.Fatalf("append: %v", err)
		}
	}
}

// subscribe starts a subscription, and reads it with read if that is not nil.
func (c *crowd) subscribe(options *streams.ReadReq_Options, read func(streams.Streams_ReadClient) error) {
	c.t.Helper()
	c.subscribers++
	call, err := c.server.client.Read(c.ctx, &streams.ReadReq{Options: options})
	if err != nil {
		c.t.Fatalf("subscribe: %v", err)
	}
	if read != nil {
		c.readers.Go(func() {
			if err := read(call); err != nil {
				c.t.Error(err)
			}
		})
	}
}

// numberOf receives the next event and returns its number and revision.
func numberOf(call streams.Streams_ReadClient) (number int, revision uint64, err error) {
	for {
		message, err := call.Recv()
		if err != nil {
			return 0, 0, err
		}
		if e := message.GetEvent().GetEvent(); e != nil {
			_, err := fmt.Sscan(string(e.GetData()), &number)
			return number, e.GetStreamRevision(), err
		}
	}
}

func (c *crowd) readAll(call streams.Streams_ReadClient) error {
	return c.readAllFrom(call, 0, c.events)
}

func (c *crowd) readAllSlowly(call streams.Streams_ReadClient) error {
	pauseAt := c.events / 100
	if err := c.readAllFrom(call, 0, pauseAt); err != nil {
		return err
	}
	<-c.release
	return c.readAllFrom(call, pauseAt, c.events)
}

func (c *crowd) readAllFrom(call streams.Streams_ReadClient, from, to int) error {
	for want := from; want < to; want++ {
		got, _, err := numberOf(call)
		if err != nil {
			return fmt.Errorf("a subscriber to $all at event %d: %w", want, err)
		}
		if got != want {
			return fmt.Errorf("a subscriber to $all got event %d instead of %d", got, want)
		}
	}
	return nil
}

// readStream reads all events of one stream, of which each holds the same number.
func (c *crowd) readStream(call streams.Streams_ReadClient, stream int) error {
	last := -1
	for want := range uint64(c.events / memoryStreams) {
		number, revision, err := numberOf(call)
		if err != nil {
			return fmt.Errorf("a subscriber to stream %d at revision %d: %w", stream, want, err)
		}
		if revision != want || number <= last {
			return fmt.Errorf("a subscriber to stream %d got event %d as revision %d instead of %d", stream, number, revision, want)
		}
		last = number
	}
	return nil
}

// await polls for a condition that another process brings about.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(patience); !condition(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

// Names have no limit but that of a message: what is remembered of a stream is bounded by bytes.
func TestLongStreamNamesDoNotFillTheMemory(t *testing.T) {
	server := startChild(t, t.TempDir())
	long := make([]byte, 1<<20)
	for i := range long {
		long[i] = 'n'
	}
	const streamsMade = 80
	for i := range streamsMade {
		name := fmt.Sprintf("%d-%s", i, long)
		if _, err := appendRaw(withPatience(t), server.client, name, rawEvent(uuid.New(), "x")); err != nil {
			t.Fatal(err)
		}
	}
	if got := server.memory(t); got.Heap > memoryFixed {
		t.Errorf("%d bytes are held after %d long names, %d are allowed", got.Heap, streamsMade, memoryFixed)
	}
	name := fmt.Sprintf("%d-%s", 0, long)
	if _, err := appendAt(withPatience(t), server.client, name, 1, rawEvent(uuid.New(), "x")); err != nil {
		t.Errorf("the first stream, forgotten since: %v", err)
	}
	_, err := appendRaw(withPatience(t), server.client, string(make([]byte, 17<<20)), rawEvent(uuid.New(), "x"))
	if status.Code(err) != codes.ResourceExhausted {
		t.Errorf("a name beyond the limit of a message: %v", err)
	}
}
