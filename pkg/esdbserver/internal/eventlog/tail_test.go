package eventlog

import (
	"testing"
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
