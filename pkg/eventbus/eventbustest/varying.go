package eventbustest

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"orderflow/pkg/eventbus"
)

func varying() []promise {
	return []promise{
		{"AnyEventArrivesAsItWasPublishedOrIsRefused", anyEvent},
		{"AnyInterleavingDeliversEverythingInOrder", anyInterleaving},
	}
}

// check runs a property for as many cases as there is time for: most, or all
// that rapid is set to when the suites may take their time. A case that failed is
// repeated as often as it takes to make it smaller.
func check(t *testing.T, most int, property func(*rapid.T)) {
	t.Helper()
	cases, failed := 0, false
	rapid.Check(t, func(rt *rapid.T) {
		if cases++; cases > most && !failed && !long() {
			return
		}
		failed = true // unless it gets to the end
		property(rt)
		failed = false
	})
}

// anyText is what a String of CloudEvents may be, and some of what it may not.
func anyText(least, most int) *rapid.Generator[string] {
	odd := []rune("\u00e4\u00df\u4e2d\u200b\u200d\u202e\ufeff\ufffd\U0001f469\U0010ffff\u0301 \"'\\%;,=\t\x00\u0085")
	return rapid.OneOf(
		rapid.StringN(least, most, most),
		rapid.StringOfN(rapid.SampledFrom(odd[:len(odd)-3]), least, most, -1),
		rapid.StringOfN(rapid.SampledFrom(odd), least, most, -1),
		rapid.StringMatching(fmt.Sprintf(`[a-z.]{%d,%d}`, least, most)),
	)
}

func drawEvent(rt *rapid.T) eventbus.Event {
	e := eventbus.Event{
		ID:      anyText(1, 40).Draw(rt, "id"),
		Source:  anyText(1, 40).Draw(rt, "source"),
		Type:    rapid.OneOf(rapid.StringMatching(`[a-z]{1,8}\.events\.[a-z]{1,8}\.v[0-9]`), anyText(1, 30)).Draw(rt, "type"),
		Subject: anyText(1, 40).Draw(rt, "subject"),
		Time: time.Unix(
			rapid.OneOf(
				rapid.Int64Range(-62167219200, 253402300799), // the years 0 to 9999
				rapid.SampledFrom([]int64{-62167219201, -62167219200, -62135596800, -1, 0, 253402300799, 253402300800}),
			).Draw(rt, "seconds"),
			rapid.OneOf(rapid.Int64Range(0, 999_999_999), rapid.SampledFrom([]int64{0, 1, 1000, 999_999_999})).Draw(rt, "nanoseconds"),
		).In(time.FixedZone("", rapid.IntRange(-14*3600, 14*3600).Draw(rt, "zone"))),
		DataContentType: rapid.OneOf(
			rapid.SampledFrom([]string{"", "application/json", "text/plain; charset=utf-8"}), anyText(0, 20),
		).Draw(rt, "content type"),
		Data:          rapid.SliceOfN(rapid.Byte(), 0, 300).Draw(rt, "data"),
		CorrelationID: anyText(0, 60).Draw(rt, "correlation"),
		CausationID:   anyText(0, 60).Draw(rt, "causation"),
		TraceParent:   anyText(0, 60).Draw(rt, "trace"),
		Sequence:      rapid.OneOf(rapid.Int64(), rapid.SampledFrom([]int64{0, -1, math.MinInt64, math.MaxInt64})).Draw(rt, "sequence"),
	}
	if rapid.IntRange(0, 9).Draw(rt, "long") == 0 {
		e.CorrelationID = fmt.Sprintf("%0*d", rapid.SampledFrom([]int{4096, 4097}).Draw(rt, "length"), 0)
	}
	return e
}

// Whatever Validate accepts arrives as it was published, whatever it does not
// accept is refused by Publish. Commands are among the events, so the consumer
// takes everything.
func anyEvent(t *testing.T, h Harness) {
	var all inbox
	bus := open(t, h)
	subscribe(t, bus, eventbus.Queue{Name: "all", Patterns: []string{"#"}}, all.handle)
	published := 0
	check(t, 30, func(rt *rapid.T) {
		var valid []eventbus.Event
		for range rapid.IntRange(1, 20).Draw(rt, "events") {
			e := drawEvent(rt)
			if e.Validate() == nil {
				valid = append(valid, e)
				continue
			}
			if err := bus.Publish(within(t), e); !errors.Is(err, eventbus.ErrInvalidEvent) {
				rt.Fatalf("an invalid event: got %v from Publish, and %v from Validate", err, e.Validate())
			}
		}
		if err := bus.Publish(within(t), valid...); err != nil {
			rt.Fatalf("publish: %v", err)
		}
		from := published
		published += len(valid)
		eventually(t, "all have arrived", func() bool { return len(all.deliveries()) >= published })
		for i, got := range all.deliveries()[from:] {
			want := valid[i]
			want.Time, want.DataContentType = want.Time.UTC(), want.ContentType()
			if len(want.Data) == 0 {
				want.Data = nil
			}
			if diff := cmp.Diff(eventbus.Delivery{Event: want}, got); diff != "" {
				rt.Fatalf("(-published +arrived):\n%s", diff)
			}
		}
	})
}

// sharedQueues are the queues that a plan plays with. They are bound from the
// beginning, so every event that was published must be handled from both.
const sharedQueues = 2

// anyInterleaving lets publishers and consumers work while they are interrupted,
// closed, opened again, fail and panic, in any order, and publishes some events
// twice. In the end every event whose publish returned nil has been handled at
// least once from every queue. Of each subject, which has one publisher, the
// events were first handed out in the order in which they were published, unless
// the bus promises that only as long as a consumer stays and nothing fails, and
// it did not.
func anyInterleaving(t *testing.T, h Harness) {
	plans := 0
	check(t, 6, func(rt *rapid.T) {
		plans++
		s := newStory(t, h, plans)
		defer s.end()
		for range rapid.IntRange(5, 25).Draw(rt, "steps") {
			s.step(rt)
		}
		if err := s.settle(s.calm || h.OrderSurvives); err != nil {
			rt.Fatal(err)
		}
	})
}

func (s *story) step(rt *rapid.T) {
	queue := s.queues[rapid.IntRange(0, sharedQueues-1).Draw(rt, "queue")]
	what := rapid.SampledFrom([]string{
		"publish", "publish", "publish", "publish again", "subscribe", "subscribe", "close", "abandon", "interrupt", "reopen",
	}).Draw(rt, "step")
	switch what {
	case "publish":
		s.publish(rapid.IntRange(0, subjects-1).Draw(rt, "subject"), rapid.IntRange(1, 40).Draw(rt, "events"))
	case "publish again":
		s.publishAgain(rapid.IntRange(0, subjects-1).Draw(rt, "subject"), rapid.IntRange(1, 40).Draw(rt, "events"))
	case "subscribe":
		troubles := rapid.SliceOfN(rapid.SampledFrom([]trouble{works, works, fails, panics}), 0, 5).Draw(rt, "troubles")
		s.subscribe(queue, rapid.IntRange(1, 15).Draw(rt, "batch"), slices.Clone(troubles))
	case "close", "abandon":
		s.calm = false
		queue.close(s.t, what == "abandon")
	case "interrupt":
		s.calm = false
		s.h.Interrupt(s.t)
	case "reopen":
		s.calm = false
		s.reopen()
	}
}
