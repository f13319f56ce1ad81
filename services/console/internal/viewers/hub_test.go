package viewers

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// hand is a source whose states a test emits.
type hand struct {
	states  chan any
	started chan struct{}
	ended   chan struct{}
}

func newHand() *hand {
	return &hand{states: make(chan any), started: make(chan struct{}, 9), ended: make(chan struct{}, 9)}
}

func (h *hand) run(ctx context.Context, emit func(any) bool) {
	h.started <- struct{}{}
	defer func() { h.ended <- struct{}{} }()
	for {
		select {
		case <-ctx.Done():
			return
		case state := <-h.states:
			emit(state)
		}
	}
}

func texts(messages []Message) []string {
	var written []string
	for _, m := range messages {
		written = append(written, m.Event+" "+string(m.Data))
	}
	return written
}

func TestOneSourceServesAllWhoLookAtTheSame(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, source := NewHub(), newHand()
		topic := Topic{Key: "orders:", Event: "orders", Source: source.run}
		first, second := hub.Join(topic), hub.Join(topic)
		source.states <- 1
		for _, v := range []*Viewer{first, second} {
			<-v.Changed()
			if diff := cmp.Diff([]string{"orders 1"}, texts(v.Take())); diff != "" {
				t.Error(diff)
			}
		}
		if len(source.started) != 1 {
			t.Errorf("%d sources were started", len(source.started))
		}
		first.Close()
		synctest.Wait()
		if len(source.ended) != 0 {
			t.Error("the source ended while somebody looked")
		}
		second.Close()
		if len(source.ended) != 1 {
			t.Error("the source went on when nobody looked")
		}
	})
}

func TestWhoComesLaterSeesTheStateAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, source := NewHub(), newHand()
		topic := Topic{Key: "health", Event: "health", Source: source.run}
		first := hub.Join(topic)
		defer first.Close()
		source.states <- "fine"
		<-first.Changed()
		later := hub.Join(topic)
		defer later.Close()
		<-later.Changed()
		if diff := cmp.Diff([]string{`health "fine"`}, texts(later.Take())); diff != "" {
			t.Error(diff)
		}
	})
}

func TestSlowViewerSkipsToTheNewestAndHoldsUpNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, one, other := NewHub(), newHand(), newHand()
		slow := hub.Join(Topic{"one", "one", one.run}, Topic{"other", "other", other.run})
		defer slow.Close()
		for state := range 1000 {
			one.states <- state
		}
		other.states <- "x"
		synctest.Wait()
		<-slow.Changed()
		if diff := cmp.Diff([]string{"one 999", `other "x"`}, texts(slow.Take())); diff != "" {
			t.Error(diff)
		}
		if more := slow.Take(); more != nil {
			t.Errorf("the same again: %v", more)
		}
	})
}

func TestSameStateIsNotSentAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, source := NewHub(), newHand()
		v := hub.Join(Topic{"orders:", "orders", source.run})
		defer v.Close()
		source.states <- map[string]int{"a": 1, "b": 2}
		<-v.Changed()
		v.Take()
		source.states <- map[string]int{"b": 2, "a": 1}
		synctest.Wait()
		select {
		case <-v.Changed():
			t.Errorf("sent again: %v", v.Take())
		default:
		}
	})
}

func TestTopicThatWasLeftStartsAfresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		hub, source := NewHub(), newHand()
		topic := Topic{"orders:", "orders", source.run}
		v := hub.Join(topic)
		source.states <- "old"
		synctest.Wait()
		v.Close()
		v.Close() // twice is no fault
		again := hub.Join(topic)
		defer again.Close()
		synctest.Wait()
		if got := again.Take(); got != nil {
			t.Errorf("an old state was shown: %v", texts(got))
		}
	})
}

func TestPausesGrowWhileNothingChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var at []time.Duration
		began := time.Now()
		ctx, cancel := context.WithCancel(t.Context())
		source := Every(400*time.Millisecond, 800*time.Millisecond, func(context.Context, func(any) bool) bool {
			at = append(at, time.Since(began))
			if len(at) == 7 {
				cancel()
			}
			return len(at) == 5
		})
		source(ctx, func(any) bool { return true })
		var pauses []time.Duration
		for i := range at[1:] {
			pauses = append(pauses, (at[i+1] - at[i]).Truncate(time.Millisecond))
		}
		want := []time.Duration{500e6, 625e6, 781e6, 800e6, 400e6, 500e6}
		if diff := cmp.Diff(want, pauses); diff != "" {
			t.Error(diff)
		}
	})
}

func TestStepThatIsCutShortTellsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		Every(time.Second, time.Second, func(ctx context.Context, emit func(any) bool) bool {
			cancel()
			return emit(ctx.Err().Error())
		})(ctx, func(state any) bool {
			t.Errorf("told %v", state)
			return true
		})
	})
}
