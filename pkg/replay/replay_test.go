package replay_test

import (
	"errors"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/replay"
	"orderflow/pkg/sqldb/sqldbtest"
)

func TestAConsumerIsToldTheWholeHistoryAndNobodyElseIs(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		others := w.consume("crm", "order.#")
		added := w.consume("audit", "order.#")
		w.run(w.replays)
		job := w.begin(replay.Wish{To: "audit"})
		if job.Status != replay.Running || job.To != "audit" || job.Sent != 0 || job.Progress() != 0 {
			t.Errorf("began as %+v", job)
		}
		job = w.becomes(job.ID, replay.Done)
		if job.Sent != 1000 || job.Position != 10_000 || job.End != 10_000 || job.Progress() != 1 || job.Left() != 0 || job.PerSecond() <= 0 {
			t.Errorf("ended as %+v", job)
		}
		if err := w.bus.Publish(t.Context(), happened(1001)); err != nil {
			t.Fatal(err)
		}
		added.has(t, numbers(1, 1001))
		others.has(t, []string{"1001"})
		if added.total != 1001 || added.live != 1 {
			t.Errorf("%d deliveries, %d of them live", added.total, added.live)
		}
		// It can be told once more: a replay that is done is no obstacle.
		if again := w.begin(replay.Wish{To: "audit"}); again.ID == job.ID || w.becomes(again.ID, replay.Done).Sent != 1000 {
			t.Error("the second replay is the first")
		}
		jobs, err := w.replays.Jobs(t.Context())
		if err != nil || len(jobs) != 2 || jobs[1].ID != job.ID {
			t.Errorf("listed: %v, %v", jobs, err)
		}
	})
}

func TestAReplaySendsOnlyWhatIsWanted(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.run(w.replays)
		cancelled := w.consume("refunds", "order.events.cancelled.v1", "packing.#")
		late := w.consume("late", "order.#")
		young := w.consume("young", "#")
		for _, wish := range []replay.Wish{{To: "refunds"}, {To: "late", After: 9_900}, {To: "young", Since: happened(995).Time}} {
			w.becomes(w.begin(wish).ID, replay.Done)
		}
		late.has(t, numbers(991, 1000))
		young.has(t, numbers(995, 1000))
		var want []string
		for n := 4; n <= 1000; n += 5 {
			want = append(want, happened(n).ID)
		}
		cancelled.has(t, want)
	})
}

func TestCommandsAreNotGivenAgain(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.past.commands = true
		w.run(w.replays)
		packing := w.consume("packing", "order.#", "packing.commands.#")
		w.becomes(w.begin(replay.Wish{To: "packing"}).ID, replay.Done)
		packing.has(t, numbers(1, 1000))
	})
}

func TestAReplayToNobodyIsRefusedAndLeavesNothing(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.queue("crm", "order.#")
		w.run(w.replays)
		for to, want := range map[string]error{
			"nobody": eventbus.ErrNoQueue, "": replay.ErrInvalid, eventbus.Unrouted: replay.ErrInvalid, "crm.dead": replay.ErrInvalid,
		} {
			if job, err := w.replays.Begin(t.Context(), replay.Wish{To: to}); !errors.Is(err, want) {
				t.Errorf("to %q: %+v, %v", to, job, err)
			}
		}
		for _, wish := range []replay.Wish{{To: "crm", After: -1}, {To: "crm", Rate: -1}} {
			if _, err := w.replays.Begin(t.Context(), wish); !errors.Is(err, replay.ErrInvalid) {
				t.Errorf("%+v: %v", wish, err)
			}
		}
		for name, do := range map[string]func() error{
			"look":   func() error { _, err := w.replays.Job(t.Context(), "x"); return err },
			"pause":  func() error { _, err := w.replays.Pause(t.Context(), "x"); return err },
			"resume": func() error { _, err := w.replays.Resume(t.Context(), "x"); return err },
			"cancel": func() error { _, err := w.replays.Cancel(t.Context(), "x"); return err },
		} {
			if err := do(); !errors.Is(err, replay.ErrUnknown) {
				t.Errorf("%s: %v", name, err)
			}
		}
		if jobs, err := w.replays.Jobs(t.Context()); err != nil || len(jobs) != 0 {
			t.Errorf("left behind: %v, %v", jobs, err)
		}
	})
}

func TestAReplayCanBePausedResumedAndCancelled(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		added := w.consume("audit", "order.#")
		half := make(chan struct{})
		hold := make(chan struct{})
		var once sync.Once
		w.bus.set(func([]eventbus.Event) error {
			if w.bus.count() >= 500 {
				once.Do(func() { close(half) })
				<-hold
			}
			return nil
		})
		w.run(w.replays)
		job := w.begin(replay.Wish{To: "audit"})
		<-half
		if _, err := w.replays.Pause(t.Context(), job.ID); err != nil {
			t.Fatal(err)
		}
		close(hold)
		sent := w.job(job.ID).Sent
		w.bus.set(func([]eventbus.Event) error { return errors.New("a paused replay sends") })
		paused := w.job(job.ID)
		if paused.Status != replay.Paused || paused.Sent != sent || paused.Position >= 10_000 {
			t.Errorf("paused as %+v", paused)
		}
		if again, err := w.replays.Pause(t.Context(), job.ID); err != nil || again.Status != replay.Paused {
			t.Errorf("pausing twice: %+v, %v", again, err)
		}
		w.bus.set(nil)
		if resumed, err := w.replays.Resume(t.Context(), job.ID); err != nil || resumed.Status != replay.Running || resumed.Position != paused.Position {
			t.Errorf("resumed as %+v, %v", resumed, err)
		}
		w.becomes(job.ID, replay.Done)
		added.has(t, numbers(1, 1000))
		if _, err := w.replays.Pause(t.Context(), job.ID); !errors.Is(err, replay.ErrOver) {
			t.Errorf("pausing what is done: %v", err)
		}
		w.past.set(func() { w.past.pending = true })
		job = w.begin(replay.Wish{To: "audit"})
		if cancelled, err := w.replays.Cancel(t.Context(), job.ID); err != nil || cancelled.Status != replay.Cancelled {
			t.Errorf("cancelled as %+v, %v", cancelled, err)
		}
		if _, err := w.replays.Resume(t.Context(), job.ID); !errors.Is(err, replay.ErrOver) {
			t.Errorf("resuming what is cancelled: %v", err)
		}
		w.past.set(func() { w.past.pending = false })
		if next := w.begin(replay.Wish{To: "audit"}); next.ID == job.ID || w.becomes(next.ID, replay.Done).Sent != 1000 {
			t.Error("after one that was cancelled there is no other")
		}
	})
}

// The same wish again goes on with what is open, wherever it was begun.
func TestBeginningAgainGoesOn(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.queue("audit", "order.#")
		first := w.begin(replay.Wish{To: "audit"})
		if second := w.begin(replay.Wish{To: "audit", Rate: 7}); second.ID != first.ID || second.Rate != 7 {
			t.Errorf("a second one: %+v", second)
		}
		// Whoever asks for another part of the history must not take this one for it.
		for _, other := range []replay.Wish{{To: "audit", After: 500}, {To: "audit", Since: happened(5).Time}} {
			if job, err := w.replays.Begin(t.Context(), other); !errors.Is(err, replay.ErrElsewhere) {
				t.Errorf("%+v: %+v, %v", other, job, err)
			}
		}
		if now := w.job(first.ID); now.After != 0 || !now.Since.IsZero() || now.Rate != 7 {
			t.Errorf("it became %+v", now)
		}
		if _, err := w.replays.Pause(t.Context(), first.ID); err != nil {
			t.Fatal(err)
		}
		if third := w.begin(replay.Wish{To: "audit"}); third.ID != first.ID || third.Status != replay.Running {
			t.Errorf("after a pause: %+v", third)
		}
	})
}

func TestAReplayThatIsKilledAnywhereLosesNothingAndKeepsTheOrder(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		added := w.consume("audit", "order.#")
		w.bus.set(func([]eventbus.Event) error {
			if rand.IntN(3) == 0 {
				return errAway
			}
			return nil
		})
		job := w.begin(replay.Wish{To: "audit"})
		var last int64
		for w.job(job.ID).Status == replay.Running {
			stop := w.run(w.another())
			sqldbtest.Eventually(t, "it gets further", func() bool {
				now := w.job(job.ID)
				return now.Position > last || now.Status == replay.Done
			})
			stop()
			now := w.job(job.ID)
			if now.Position < last {
				t.Errorf("the checkpoint went back from %d to %d", last, now.Position)
			}
			// What the checkpoint has passed is in the queue.
			if int(now.Position/10) > w.bus.count() {
				t.Errorf("%d events up to the checkpoint, %d were confirmed", now.Position/10, w.bus.count())
			}
			last = now.Position
		}
		added.has(t, numbers(1, 1000))
		if job := w.job(job.ID); job.Status != replay.Done || job.Position != 10_000 {
			t.Errorf("ended as %+v", job)
		}
	})
}

func TestOneOfSeveralProcessesWorksAndAnotherTakesOver(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		added := w.consume("audit", "order.#")
		stop := w.run(w.replays)
		w.run(w.another())
		w.becomes(w.begin(replay.Wish{To: "audit"}).ID, replay.Done)
		added.has(t, numbers(1, 1000))
		if n := w.bus.count(); n != 1000 {
			t.Errorf("%d events were sent", n)
		}
		stop()
		w.becomes(w.begin(replay.Wish{To: "audit"}).ID, replay.Done)
	})
}

// What was committed before a replay began may be on its way to the bus, past a
// queue that was not bound yet.
func TestAReplayWaitsForWhatIsOnItsWay(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.queue("audit", "order.#")
		w.past.pending = true
		w.run(w.replays)
		job := w.begin(replay.Wish{To: "audit"})
		w.past.set(func() { w.past.count = 1010 })
		if job = w.job(job.ID); job.End >= 0 || job.Sent != 0 {
			t.Errorf("it did not wait: %+v", job)
		}
		sqldbtest.Eventually(t, "it says what it waits for", func() bool {
			return strings.Contains(w.job(job.ID).Reason, "still to be announced")
		})
		w.past.set(func() { w.past.pending = false })
		if job = w.becomes(job.ID, replay.Done); job.Sent != 1010 {
			t.Errorf("ended as %+v", job)
		}
	})
}

func TestTroubleIsShownAndPasses(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.queue("audit", "order.#")
		w.past.err = errAway
		w.run(w.replays)
		job := w.begin(replay.Wish{To: "audit"})
		shows := func() bool { return strings.Contains(w.job(job.ID).Reason, errAway.Error()) }
		sqldbtest.Eventually(t, "trouble of the source is shown", shows)
		w.bus.set(func([]eventbus.Event) error { return errAway })
		w.past.set(func() { w.past.err = nil })
		sqldbtest.Eventually(t, "the source works", func() bool { return w.job(job.ID).End > 0 })
		sqldbtest.Eventually(t, "trouble of the bus is shown", shows)
		if job := w.job(job.ID); job.Status != replay.Running {
			t.Errorf("it is %+v", job)
		}
		w.bus.set(nil)
		if job := w.becomes(job.ID, replay.Done); job.Reason != "" || job.Sent != 1000 {
			t.Errorf("ended as %+v", job)
		}
	})
}

func TestAReplayWhoseQueueGoesFailsAndCanBeResumed(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.options.Backlog = 300
		w.replays = w.another()
		s, err := w.bus.Subscribe(t.Context(), eventbus.Queue{Name: "audit", Patterns: []string{"order.#"}}, nil)
		if err == nil {
			err = s.Close(t.Context())
		}
		if err != nil {
			t.Fatal(err)
		}
		w.run(w.replays)
		job := w.begin(replay.Wish{To: "audit"})
		sqldbtest.Eventually(t, "the queue is full", func() bool { return w.job(job.ID).Sent >= 300 })
		if err := s.Unsubscribe(t.Context()); err != nil {
			t.Fatal(err)
		}
		job = w.becomes(job.ID, replay.Failed)
		if !strings.Contains(job.Reason, eventbus.ErrNoQueue.Error()) || job.Sent < 300 || job.Sent == 1000 {
			t.Errorf("failed as %+v", job)
		}
		added := w.consume("audit", "order.#")
		if _, err := w.replays.Resume(t.Context(), job.ID); err != nil {
			t.Fatal(err)
		}
		w.becomes(job.ID, replay.Done)
		added.has(t, numbers(int(job.Position/10)+1, 1000))
	})
}

// A replay neither floods the queue, behind which live events would wait, nor
// this process.
func TestAReplayGoesAsFastAsItsConsumer(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.options.Backlog = 250
		w.replays, w.past.count = w.another(), 5_000
		w.queue("audit", "order.#")
		var most int
		w.bus.set(func([]eventbus.Event) error {
			read, _, _ := w.past.state()
			most = max(most, read-w.bus.count())
			return nil
		})
		w.run(w.replays)
		job := w.begin(replay.Wish{To: "audit"})
		sqldbtest.Eventually(t, "it says what it waits for", func() bool {
			return strings.Contains(w.job(job.ID).Reason, "wait in the queue")
		})
		// One window at most is sent when there is room for one event.
		if depth, err := w.bus.Depth(t.Context(), "audit"); err != nil || depth < 250 || depth > 250+w.options.Window+w.past.page {
			t.Errorf("%d events are in the queue, %v", depth, err)
		}
		added := w.consume("audit", "order.#")
		w.becomes(job.ID, replay.Done)
		added.has(t, numbers(1, 5_000))
		if limit := 3 * (w.options.Window + w.past.page); most > limit {
			t.Errorf("%d events were in memory, want at most %d", most, limit)
		}
	})
}

// Events may be large: their data is bounded, and not only how many there are.
func TestLargeEventsAreFewInMemory(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		const large, room = 1 << 20, 16 // as many as two windows may have
		w.past.count, w.past.page, w.past.bytes = 60, 1, large
		w.queue("audit", "order.#")
		most := 0
		w.bus.set(func([]eventbus.Event) error {
			inMemory := func() int {
				read, _, _ := w.past.state()
				return read - w.bus.count()
			}
			for range 20 { // the others have time to go on reading
				if most = max(most, inMemory()); most > room+1 {
					break
				}
				<-time.After(5 * time.Millisecond)
			}
			return nil
		})
		w.run(w.replays)
		w.becomes(w.begin(replay.Wish{To: "audit"}).ID, replay.Done)
		if n := w.bus.count(); n != w.past.count || most > room+1 {
			t.Errorf("%d events are sent, %d were in memory", n, most)
		}
	})
}

// A replay that was begun too slowly is begun again at another rate.
func TestAnotherRateCountsAtOnce(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		added := w.consume("audit", "order.#")
		w.run(w.replays)
		job := w.begin(replay.Wish{To: "audit", Rate: 1})
		sqldbtest.Eventually(t, "it is under way", func() bool { return w.job(job.ID).Sent > 0 })
		w.begin(replay.Wish{To: "audit"}) // a thousand events at one a second would take a quarter of an hour
		w.becomes(job.ID, replay.Done)
		added.has(t, numbers(1, 1000))
	})
}

func TestAReplayKeepsToItsRate(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.past.count = 60
		var mu sync.Mutex
		var sizes []int
		w.bus.set(func(events []eventbus.Event) error {
			mu.Lock()
			defer mu.Unlock()
			sizes = append(sizes, len(events))
			return nil
		})
		added := w.consume("audit", "order.#")
		w.run(w.replays)
		began := time.Now()
		job := w.becomes(w.begin(replay.Wish{To: "audit", Rate: 100}).ID, replay.Done)
		if took := time.Since(began); took < 400*time.Millisecond { // never faster; how much slower is the machine's business
			t.Errorf("60 events at 100 a second took %s", took)
		}
		if slices.Max(sizes) > 20 || job.Rate != 100 {
			t.Errorf("windows of %v", sizes)
		}
		added.has(t, numbers(1, 60))
	})
}

// Progress and what follows from it, as people are shown it.
func TestProgressRateAndTimeLeft(t *testing.T) {
	job := replay.Job{
		Wish: replay.Wish{After: 1000}, Status: replay.Running, Position: 1000, End: -1,
	}
	type shown struct {
		Progress, PerSecond float64
		Left                time.Duration
	}
	show := func() shown { return shown{job.Progress(), job.PerSecond(), job.Left()} }
	if diff := cmp.Diff(shown{}, show()); diff != "" {
		t.Errorf("before anything is known: %s", diff)
	}
	job.End, job.Position, job.Sent, job.Worked = 5000, 2000, 300, 10*time.Second
	if diff := cmp.Diff(shown{0.25, 30, 30 * time.Second}, show()); diff != "" {
		t.Errorf("after a quarter: %s", diff)
	}
}
