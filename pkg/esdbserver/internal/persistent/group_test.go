package persistent

import (
	"context"
	"errors"
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"orderflow/pkg/esdbserver/internal/eventlog"
)

func TestGroupReadsAheadNoMoreThanItsBuffers(t *testing.T) {
	w := newWorld(t)
	defer w.close()
	w.append("s", "x", 1000)
	g := w.create(Definition{Stream: "s", Group: "g", Settings: usualSettings(func(s *Settings) {
		s.HistoryBufferSize, s.LiveBufferSize, s.ReadBatchSize = 50, 30, 7
	})})
	w.eventually(g, "a batch is read without consumers", func() bool { return len(g.pending) == 7 })
	c := w.connect(g, 10)
	w.eventually(g, "the history buffer is filled by whole batches", func() bool { return len(g.pending) > 50-7 })
	for range 10 {
		g.tick()
		g.mu.Lock()
		n := len(g.pending)
		g.mu.Unlock()
		if n > 50 {
			t.Fatalf("%d events are read ahead", n)
		}
	}
	if got := w.receive(c, 10); got[0] != "0(0)" || got[9] != "9(0)" {
		t.Errorf("delivered %v", got)
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for m := range c.inFlight {
		if m.event != nil {
			t.Fatal("the content of a delivered event is kept")
		}
	}
}

func TestGroupReadsAheadNoMoreBytesThanItMay(t *testing.T) {
	w := newWorld(t)
	defer w.close()
	big := make([]byte, 4<<20)
	for range 12 {
		if _, err := w.log.Append(context.Background(), "s", eventlog.Any, []eventlog.Proposed{{ID: uuid.New(), Type: "big", Data: big}}); err != nil {
			t.Fatal(err)
		}
	}
	g := w.create(Definition{Stream: "s", Group: "g", Settings: usualSettings(func(s *Settings) { s.ReadBatchSize = 2 })})
	c := w.connect(g, 100)
	w.eventually(g, "the buffers are full", func() bool { return g.buffered >= maxBufferedBytes && c.queuedBytes >= maxQueuedBytes })
	g.mu.Lock()
	if n := len(g.pending) + len(c.outbox); n > 8 {
		t.Errorf("%d events of 4 MiB are in memory", n)
	}
	g.mu.Unlock()
	if got := w.receive(c, 12); got[11] != "11(0)" {
		t.Errorf("delivered %v", got)
	}
}

func TestSmallEventsCountAgainstTheBytesToo(t *testing.T) {
	w := newWorld(t)
	defer w.close()
	const most = maxBufferedBytes / eventOverhead
	for range 4 {
		w.append("s", "x", most/3)
	}
	g := w.create(Definition{Stream: "s", Group: "g", Settings: usualSettings(func(s *Settings) { s.HistoryBufferSize = math.MaxInt32 })})
	w.connect(g, 1)
	w.eventually(g, "the buffers are full", func() bool { return g.buffered >= maxBufferedBytes })
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.pending) > most+g.definition.Settings.ReadBatchSize {
		t.Errorf("%d events are in memory", len(g.pending))
	}
}

func TestClockThatIsSetBackTimesOutNothing(t *testing.T) {
	w := newWorld(t)
	defer w.close()
	w.append("s", "x", 1)
	g := w.create(Definition{Stream: "s", Group: "g", Settings: usualSettings()})
	c := w.connect(g, 1)
	w.receive(c, 1)
	w.advance(g, -time.Hour)
	w.advance(g, 29*time.Second)
	g.mu.Lock()
	if len(c.inFlight) != 1 {
		t.Error("the event was taken away too early")
	}
	g.mu.Unlock()
	w.advance(g, time.Second)
	if diff := cmp.Diff([]string{"0(1)"}, w.receive(c, 1)); diff != "" {
		t.Errorf("delivered again (-want +got):\n%s", diff)
	}
}

func TestMessageTimeoutOfZeroLastsUntilTheNextLook(t *testing.T) {
	w := newWorld(t)
	defer w.close()
	w.append("s", "x", 1)
	g := w.create(Definition{Stream: "s", Group: "g", Settings: usualSettings(func(s *Settings) { s.MessageTimeout, s.MaxRetryCount = 0, 1 })})
	c := w.connect(g, 1)
	if diff := cmp.Diff([]string{"0(0)"}, w.receive(c, 1)); diff != "" {
		t.Fatalf("delivered (-want +got):\n%s", diff)
	}
	g.tick()
	if diff := cmp.Diff([]string{"0(1)"}, w.receive(c, 1)); diff != "" {
		t.Errorf("delivered again (-want +got):\n%s", diff)
	}
}

// What was delivered to nobody's hands and timed out must not be delivered a second time from the outbox.
func TestEventThatWasTakenAwayIsNotReceivedAnyMore(t *testing.T) {
	w := newWorld(t)
	defer w.close()
	w.append("s", "x", 1)
	g := w.create(Definition{Stream: "s", Group: "g", Settings: usualSettings()})
	slow := w.connect(g, 1)
	w.eventually(g, "the event waits to be received", func() bool { return len(slow.outbox) == 1 })
	quick := w.connect(g, 1)
	for range 3 { // in turn to the slow one, the quick one, and the slow one
		w.advance(g, 31*time.Second)
	}
	w.eventually(g, "it was delivered three times more", func() bool {
		for m := range g.inFlight() {
			return m.retries == 3 && m.holder == slow
		}
		return false
	})
	total := 0
	for _, c := range []*Consumer{slow, quick} {
		deliveries, err := c.take()
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range deliveries {
			if total++; d.Event == nil || d.Retries != 3 {
				t.Errorf("received %+v", d)
			}
		}
	}
	if total != 1 {
		t.Errorf("it is received %d times", total)
	}
}

func (g *group) inFlight() map[*message]struct{} {
	all := map[*message]struct{}{}
	for _, c := range g.consumers {
		for m := range c.inFlight {
			all[m] = struct{}{}
		}
	}
	return all
}

func TestPinnedStreamsStayWithTheirConsumers(t *testing.T) {
	const streams = 200
	w := newWorld(t)
	defer w.close()
	g := w.create(Definition{Stream: All, Group: "g", Filter: &eventlog.Filter{Prefixes: []string{"pin-"}}, Settings: usualSettings(func(s *Settings) {
		s.Strategy = Pinned
	})})
	consumers := map[string]*Consumer{}
	owners := func() map[string]string {
		for i := range streams {
			w.append(fmt.Sprintf("pin-%d", i), "x", 1)
		}
		owner := map[string]string{}
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		for len(owner) < streams && ctx.Err() == nil {
			for name, c := range consumers {
				deliveries, err := c.take()
				if err != nil {
					t.Fatal(err)
				}
				for _, d := range deliveries {
					owner[d.Event.Stream] = name
					c.Ack([]uuid.UUID{d.Event.ID})
				}
			}
		}
		return owner
	}
	for _, name := range []string{"A", "B", "C"} {
		consumers[name] = w.connect(g, 1000)
	}
	first, second := owners(), owners()
	if diff := cmp.Diff(first, second); diff != "" {
		t.Fatalf("streams have moved (-first +second):\n%s", diff)
	}
	share := map[string]int{}
	for _, name := range first {
		share[name]++
	}
	for name := range consumers {
		if share[name] < streams/10 {
			t.Errorf("%s has %d of %d streams", name, share[name], streams)
		}
	}
	consumers["C"].Close()
	delete(consumers, "C")
	for stream, name := range owners() {
		if before := first[stream]; before != "C" && before != name {
			t.Errorf("%s moved from %s to %s though its consumer is there", stream, before, name)
		}
	}
}

func TestPinsGoByStreamOrByCorrelation(t *testing.T) {
	correlated := func(stream, metadata string) *eventlog.Event {
		return &eventlog.Event{Stream: stream, Metadata: []byte(metadata)}
	}
	for _, test := range []struct {
		rule     string
		strategy string
		a, b     *eventlog.Event
		same     bool
	}{
		{"by stream", Pinned, correlated("s", `{"$correlationId":"1"}`), correlated("s", `{"$correlationId":"2"}`), true},
		{"by stream, another", Pinned, correlated("s", ""), correlated("t", ""), false},
		{"by correlation", PinnedByCorrelation, correlated("s", `{"$correlationId":"1"}`), correlated("t", `{"$correlationId":"1"}`), true},
		{"by correlation, another", PinnedByCorrelation, correlated("s", `{"$correlationId":"1"}`), correlated("s", `{"$correlationId":"2"}`), false},
		{"by correlation, none", PinnedByCorrelation, correlated("s", `{}`), correlated("s", `no JSON`), true},
		{"by correlation that is no text", PinnedByCorrelation, correlated("s", `{"$correlationId":7}`), correlated("s", ""), true},
		{"not at all", RoundRobin, correlated("s", ""), correlated("t", ""), true},
	} {
		if same := pinOf(test.strategy, test.a) == pinOf(test.strategy, test.b); same != test.same {
			t.Errorf("%s: the same pin: %t", test.rule, same)
		}
	}
}

func TestRubbishAmongTheDefinitionsAndCheckpointsIsPassedOver(t *testing.T) {
	w := newWorld(t)
	defer w.close()
	w.append("s", "x", 3)
	g := w.create(Definition{Stream: "s", Group: "g", Settings: usualSettings(func(s *Settings) { s.MaxCheckpointCount = 1 })})
	c := w.connect(g, 10)
	w.receive(c, 3)
	g.mu.Lock()
	first, _ := g.backlog.lowest()
	g.mu.Unlock()
	c.Ack([]uuid.UUID{first.id})
	w.eventually(g, "there is a checkpoint", func() bool { return g.checkpoint.exists })
	w.append(configStream, "x", 1)
	w.append(g.definition.checkpointStream(), "x", 1)
	w.Close()
	w.open()
	if diff := cmp.Diff([]string{"1(0)", "2(0)"}, w.receive(w.connect(w.group("s", "g"), 10), 2)); diff != "" {
		t.Errorf("delivered after the restart (-want +got):\n%s", diff)
	}
}

func TestTombstonedParkedStreamStallsNothing(t *testing.T) {
	w := newWorld(t)
	defer w.close()
	w.append("s", "x", 2)
	g := w.create(Definition{Stream: "s", Group: "g", Settings: usualSettings()})
	if _, err := w.log.Tombstone(context.Background(), g.definition.parkedStream(), eventlog.Any); err != nil {
		t.Fatal(err)
	}
	c := w.connect(g, 1)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for i := range 2 {
		deliveries, err := c.Receive(ctx)
		if err != nil || deliveries[0].Event.Revision != int64(i) {
			t.Fatalf("received %v, %v", deliveries, err)
		}
		c.Nack([]uuid.UUID{deliveries[0].Event.ID}, ActionPark, "")
	}
	w.eventually(g, "nothing is left", g.backlog.empty)
	if err := w.Replay(ctx, "s", "g", NoLimit); err != nil {
		t.Error(err)
	}
}

func TestClosedSubsystemRefusesEverything(t *testing.T) {
	w := newWorld(t)
	defer w.close()
	g := w.create(Definition{Stream: "s", Group: "g", Settings: usualSettings()})
	c := w.connect(g, 1)
	w.Close()
	w.Close()
	ctx := context.Background()
	_, received := c.Receive(ctx)
	_, connected := w.Connect("s", "g", 1, Peer{})
	_, informed := w.Info(ctx, "s", "g")
	_, listed := w.List(ctx, "")
	for name, err := range map[string]error{
		"receive": received, "connect": connected, "info": informed, "list": listed,
		"create": w.Create(ctx, Definition{Stream: "t", Group: "g", Settings: usualSettings()}), "update": w.Update(ctx, g.definition),
		"delete": w.Delete(ctx, "s", "g"), "replay": w.Replay(ctx, "s", "g", NoLimit), "restart": w.Restart(ctx),
	} {
		if !errors.Is(err, ErrClosed) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c.Ack([]uuid.UUID{uuid.New()})
	c.Nack([]uuid.UUID{uuid.New()}, ActionPark, "")
	c.Close()
}

func TestCheckpointsOfTheServerItselfBringAboutNoMore(t *testing.T) {
	var b backlog
	b.pass(5, false)
	b.pass(9, true)
	b.pass(math.MaxInt64, false)
	if done := b.done(); done.count != 1 || done.place != math.MaxInt64 {
		t.Errorf("done up to %+v", done)
	}
}

func TestStatisticsAreOfTheLatestLatencies(t *testing.T) {
	m := meter{detailed: true}
	for i := range 3 * latenciesKept {
		m.done(time.Duration(i) * time.Millisecond)
	}
	figures := map[string]int64{}
	for _, l := range m.statistics() {
		figures[l.Name] = l.Value
	}
	want := map[string]int64{
		"Mean": 2499, "Median": 2500, "Fastest": 2000, "Quintile 1": 2200, "Quintile 2": 2400, "Quintile 3": 2600, "Quintile 4": 2800, "Quintile 5": 2999,
		"90%": 2900, "95%": 2950, "99%": 2990, "99.5%": 2995, "99.9%": 2999, "Highest": 2999,
	}
	if diff := cmp.Diff(want, figures); diff != "" {
		t.Errorf("figures (-want +got):\n%s", diff)
	}
}
