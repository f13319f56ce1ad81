package eventlog

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

func tailOf(last int64) *Log { return &Log{tail: newTail(last)} }

func events(positions ...int64) []*Event {
	var all []*Event
	for _, p := range positions {
		all = append(all, &Event{Position: p})
	}
	return all
}

func TestFollowerGetsWhatLiesBehindItsPosition(t *testing.T) {
	l := tailOf(10)
	l.tail.publish(events(20, 35, 50))
	for _, test := range []struct {
		position int64
		want     []int64
	}{
		{10, []int64{20, 35}}, {19, []int64{20, 35}}, {20, []int64{35, 50}}, {36, []int64{50}}, {50, nil}, {99, nil},
	} {
		got, wait, ok := l.After(test.position, make([]*Event, 0, 2))
		if !ok || len(got) != len(test.want) || (wait == nil) != (len(test.want) > 0) {
			t.Errorf("after %d: %d events, ok %t", test.position, len(got), ok)
			continue
		}
		for i, e := range got {
			if e.Position != test.want[i] {
				t.Errorf("after %d: position %d, want %d", test.position, e.Position, test.want[i])
			}
		}
	}
}

func TestFollowerIsWokenByTheNextCommit(t *testing.T) {
	l := tailOf(0)
	_, first, _ := l.After(0, nil)
	_, second, _ := l.After(0, nil)
	select {
	case <-first:
		t.Fatal("woken by nothing")
	default:
	}
	l.tail.publish(events(5))
	<-first
	<-second
	if got, _, ok := l.After(0, make([]*Event, 0, 1)); !ok || len(got) != 1 {
		t.Errorf("%d events, ok %t", len(got), ok)
	}
	_, third, _ := l.After(5, nil)
	l.tail.publish(nil)
	select {
	case <-third:
		t.Error("woken by a transaction without events")
	default:
	}
}

func TestFollowerThatHasFallenBehindIsToldSo(t *testing.T) {
	l := tailOf(7)
	if _, _, ok := l.After(6, nil); ok {
		t.Error("what was there before the start is not in memory")
	}
	for p := int64(8); p < 8+tailEvents+5; p++ {
		l.tail.publish(events(p))
	}
	if _, _, ok := l.After(7, nil); ok {
		t.Error("more than the limit is kept")
	}
	if got, _, ok := l.After(12, make([]*Event, 0, 1)); !ok || got[0].Position != 13 {
		t.Error("less than the limit is kept")
	}
}

func TestTailIsBoundedInBytes(t *testing.T) {
	l := tailOf(0)
	large := func(position int64) []*Event {
		return []*Event{{Position: position, Data: make([]byte, tailBytes/4)}}
	}
	for p := int64(1); p <= 10; p++ {
		l.tail.publish(large(p))
		if l.tail.bytes > tailBytes {
			t.Fatalf("%d bytes are kept", l.tail.bytes)
		}
	}
	if got := len(l.tail.events); got != 3 {
		t.Errorf("%d events are kept, want 3", got)
	}
	l.tail.publish([]*Event{{Position: 11, Data: make([]byte, tailBytes+1)}})
	if len(l.tail.events) != 0 || l.tail.bytes != 0 {
		t.Errorf("an event larger than the limit stays: %d events, %d bytes", len(l.tail.events), l.tail.bytes)
	}
	if _, _, ok := l.After(10, nil); ok {
		t.Error("a follower that misses it is not told")
	}
}

func inStream(stream string, positions ...int64) []*Event {
	all := events(positions...)
	for _, e := range all {
		e.Stream = stream
	}
	return all
}

func TestFollowerOfAStreamGetsItsEventsOnly(t *testing.T) {
	l := tailOf(10)
	l.tail.publish(append(inStream("a", 20, 30), inStream("b", 40)...))
	l.tail.publish(append(inStream("a", 50), inStream("b", 60)...))
	var got []int64
	for position := int64(10); len(got) < 3; {
		page, next, ok, err := l.AfterInStream(t.Context(), "a", position, make([]*Event, 0, 2))
		if err != nil || !ok {
			t.Fatalf("ok %t, %v", ok, err)
		}
		for _, e := range page {
			got = append(got, e.Position)
		}
		position = next
	}
	if diff := cmp.Diff([]int64{20, 30, 50}, got); diff != "" {
		t.Errorf("positions (-want +got):\n%s", diff)
	}
	if _, _, ok, _ := l.AfterInStream(t.Context(), "a", 9, nil); ok {
		t.Error("what was there before the start is not in memory")
	}
}

// Events of other streams may run through memory many times over while a follower waits: that is no falling behind.
func TestFollowerOfAQuietStreamDoesNotFallBehind(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := tailOf(0)
		ctx, leave := context.WithCancel(t.Context())
		type answer struct {
			events []*Event
			next   int64
			ok     bool
			err    error
		}
		follow := func() <-chan answer {
			answers := make(chan answer, 1)
			go func() {
				events, next, ok, err := l.AfterInStream(ctx, "quiet", 0, make([]*Event, 0, 10))
				answers <- answer{events, next, ok, err}
			}()
			synctest.Wait()
			return answers
		}
		first, second := follow(), follow()
		for p := int64(1); p <= 3*tailEvents; p++ {
			l.tail.publish(inStream("loud", p))
		}
		synctest.Wait()
		if len(first) > 0 || len(second) > 0 {
			t.Fatal("woken by events of another stream")
		}
		l.tail.publish(inStream("quiet", 1_000_000, 1_000_001))
		for _, answers := range []<-chan answer{first, second} {
			if got := <-answers; got.err != nil || !got.ok || len(got.events) != 2 || got.next != 1_000_001 {
				t.Errorf("woken with %+v", got)
			}
		}
		third := follow()
		if got := <-third; got.ok {
			t.Errorf("a follower that really has fallen behind: %+v", got)
		}

		l.tail.publish(inStream("loud", 1_000_002))
		waiting := make(chan error, 1)
		go func() {
			_, _, _, err := l.AfterInStream(ctx, "quiet", 1_000_001, nil)
			waiting <- err
		}()
		synctest.Wait()
		leave()
		if err := <-waiting; !errors.Is(err, context.Canceled) {
			t.Errorf("a follower that leaves: %v", err)
		}
		if n := len(l.tail.waiters); n != 0 {
			t.Errorf("%d waiters are still listed", n)
		}
	})
}
