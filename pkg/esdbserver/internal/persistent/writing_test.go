package persistent

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

// A write may be committed although its answer comes too late. Meanwhile more events are parked.
func TestParkingThatWasNotAnsweredIsNotRepeated(t *testing.T) {
	w := newWorld(t)
	defer w.close()
	w.append("s", "x", 3)
	g := w.create(Definition{Stream: "s", Group: "g", Settings: usualSettings()})
	c := w.connect(g, 3)
	w.receive(c, 3)
	g.cancel()
	g.running.Wait() // from here on the test writes itself
	g.ctx = context.Background()
	all := func() []*message {
		g.mu.Lock()
		defer g.mu.Unlock()
		return inOrder(c.inFlight)
	}()
	c.Nack([]uuid.UUID{all[0].id, all[1].id}, ActionPark, "")
	if err := g.appendLinks(g.parking); err != nil {
		t.Fatal(err)
	}
	g.attempted = 2
	c.Nack([]uuid.UUID{all[2].id}, ActionPark, "")
	for busy := true; busy; {
		var err error
		if busy, err = g.writeSome(); err != nil {
			t.Fatal(err)
		}
	}
	page, err := w.log.ReadStream(context.Background(), g.definition.parkedStream(), 0, false, math.MaxInt32)
	if err != nil {
		t.Fatal(err)
	}
	var links []string
	for _, e := range page.Events {
		links = append(links, string(e.Data))
	}
	if diff := cmp.Diff([]string{"0@s", "1@s", "2@s"}, links); diff != "" {
		t.Errorf("parked (-want +got):\n%s", diff)
	}
	if !g.backlog.empty() {
		t.Error("not everything is done")
	}
}

// A reason may be as long as a message, and is written once for each event.
func TestReasonIsKeptInMeasure(t *testing.T) {
	w := newWorld(t)
	defer w.close()
	w.append("s", "x", 2)
	g := w.create(Definition{Stream: "s", Group: "g", Settings: usualSettings()})
	c := w.connect(g, 2)
	w.receive(c, 2)
	g.mu.Lock()
	var ids []uuid.UUID
	for m := range c.inFlight {
		ids = append(ids, m.id)
	}
	g.mu.Unlock()
	c.Nack(ids, ActionPark, "x"+strings.Repeat("\u00e9", 1<<20)) // of two bytes each: the limit is in the middle of one
	w.eventually(g, "they are parked", func() bool { return g.meter.total == 2 })
	page, err := w.log.ReadStream(context.Background(), g.definition.parkedStream(), 0, false, 10)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range page.Events {
		var kept parkedMetadata
		if err := json.Unmarshal(e.Metadata, &kept); err != nil || len(kept.Reason) != maxReason-1 || strings.Trim(kept.Reason, "\u00e9") != "x" {
			t.Errorf("%d bytes of metadata say %.20q: %v", len(e.Metadata), kept.Reason, err)
		}
	}
}

func TestCheckpointIsDueWhenEnoughIsDoneForLongEnough(t *testing.T) {
	start := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	settings := usualSettings()
	for _, test := range []struct {
		done    int64
		after   time.Duration
		minimum int
		want    bool
	}{
		{10, 2 * time.Second, 10, true},
		{9, time.Hour, 10, false},
		{100, time.Second, 10, false},
		{0, time.Hour, 0, false},
		{1, time.Hour, 0, true},
		{100, -time.Hour, 10, false},
	} {
		settings.MinCheckpointCount = test.minimum
		c := checkpoint{at: start}
		if got := c.due(start.Add(test.after), mark{count: test.done}, settings); got != test.want {
			t.Errorf("%d done after %v: due %t", test.done, test.after, got)
		}
	}
	c := checkpoint{at: start}
	c.due(start.Add(-time.Hour), mark{}, settings)
	if !c.due(start.Add(2*time.Second-time.Hour), mark{count: 10}, settings) {
		t.Error("a clock that was set back keeps the checkpoint waiting")
	}
}

// Groups come and go while others look at them and consumers come and leave.
func TestManagementAtOnceDisturbsNothing(t *testing.T) {
	w := newWorld(t)
	defer w.close()
	w.append("s", "x", 50)
	steady := w.create(Definition{Stream: "s", Group: "steady", Settings: usualSettings()})
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	finished := make(chan struct{})
	for worker := range 4 {
		go func() {
			defer func() { finished <- struct{}{} }()
			d := Definition{Stream: "s", Group: fmt.Sprintf("g%d", worker%2), Settings: usualSettings()}
			for range 20 {
				_ = w.Create(ctx, d) // another worker may have done it, or undone it: each outcome is fine
				if c, err := w.Connect(d.Stream, d.Group, 5, Peer{}); err == nil {
					if deliveries, err := c.take(); err == nil && len(deliveries) > 0 {
						c.Ack([]uuid.UUID{deliveries[0].Event.ID})
					}
					_ = w.Update(ctx, d)
					c.Close()
				}
				if _, err := w.List(ctx, ""); err != nil {
					t.Errorf("list: %v", err)
				}
				_ = w.Delete(ctx, d.Stream, d.Group)
			}
		}()
	}
	got := w.receive(w.connect(steady, 50), 50)
	for range 4 {
		<-finished
	}
	if got[49] != "49(0)" {
		t.Errorf("the other group delivered %v", got)
	}
	infos, err := w.List(ctx, "s")
	if err != nil || len(infos) != 1 {
		t.Errorf("left are %v, %v", infos, err)
	}
}
