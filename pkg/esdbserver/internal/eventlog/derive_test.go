package eventlog

import (
	"context"
	"errors"
	"strings"
	"testing"
)

const follower = "follower"

func mark(t *testing.T, l *Log) int64 {
	t.Helper()
	position, err := l.Mark(t.Context(), follower)
	if err != nil {
		t.Fatal(err)
	}
	return position
}

// derived is one event for each of some streams, named after it.
func derived(streams ...string) (list []Derived) {
	for _, s := range streams {
		list = append(list, Derived{Stream: s, Events: one(s)})
	}
	return list
}

func TestDerivedEventsAreWrittenTogetherWithTheMark(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Options{Dir: dir})
	if got := mark(t, l); got != 0 {
		t.Errorf("before anything was derived the mark is at %d", got)
	}
	if _, err := l.AppendDerived(t.Context(), follower, 0, 100, derived("a", "b")); err != nil {
		t.Fatal(err)
	}
	// The same once more, as after an answer that was lost: the mark tells.
	for _, from := range []int64{0, 99, 101} {
		if _, err := l.AppendDerived(t.Context(), follower, from, 200, derived("c")); !errors.Is(err, ErrDerivedElsewhere) {
			t.Errorf("from %d: %v", from, err)
		}
	}
	if got := mark(t, l); got != 100 {
		t.Errorf("the mark is at %d", got)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	l = open(t, Options{Dir: dir})
	if got := mark(t, l); got != 100 {
		t.Errorf("after a restart the mark is at %d", got)
	}
	if _, err := l.AppendDerived(t.Context(), follower, 100, 200, derived("a")); err != nil {
		t.Fatal(err)
	}
	if got := types(t, l); got != "a b a" {
		t.Errorf("stored: %s", got)
	}
}

func TestDerivedEventsAreAllThereOrNone(t *testing.T) {
	l := open(t, Options{Dir: t.TempDir()})
	if _, err := l.AppendDerived(t.Context(), follower, 0, 100, derived("a")); err != nil {
		t.Fatal(err)
	}
	c := <-l.writer
	err := c.script(`CREATE TRIGGER broken BEFORE INSERT ON event WHEN instr(NEW.record, CAST('broken' AS BLOB)) > 0 BEGIN SELECT RAISE(ABORT, 'disk on fire'); END`)
	l.writer <- c
	if err != nil {
		t.Fatal(err)
	}
	if _, err := l.AppendDerived(t.Context(), follower, 100, 200, derived("b", "broken", "c")); err == nil || !strings.Contains(err.Error(), "disk on fire") {
		t.Error(err)
	}
	if got := types(t, l); got != "a" {
		t.Errorf("stored: %s", got)
	}
	if got := mark(t, l); got != 100 {
		t.Errorf("the mark is at %d", got)
	}
}

func TestDerivedEventsForATombstonedStreamAreLeftOut(t *testing.T) {
	l := open(t, Options{})
	if _, err := l.Tombstone(t.Context(), "gone", Any); err != nil {
		t.Fatal(err)
	}
	if _, err := l.AppendDerived(t.Context(), follower, 0, 100, derived("gone", "there")); err != nil {
		t.Fatal(err)
	}
	// Nothing is left of this, and so the mark stays: the next time begins there too.
	if got, err := l.AppendDerived(t.Context(), follower, 100, 200, derived("gone")); err != nil || got != 100 {
		t.Fatal(got, err)
	}
	if got := types(t, l); got != "$streamDeleted there" {
		t.Errorf("stored: %s", got)
	}
	if got := mark(t, l); got != 100 {
		t.Errorf("the mark is at %d", got)
	}
}

// Clients that name no revision have their ids remembered for a while. What is derived must not crowd them out.
func TestDerivedEventsDoNotTouchTheMemoryOfIDs(t *testing.T) {
	l := open(t, Options{})
	if _, err := l.AppendDerived(t.Context(), follower, 0, 100, derived("a")); err != nil {
		t.Fatal(err)
	}
	c := <-l.writer // the writer is idle while we look
	remembered := len(l.recent.young)
	l.writer <- c
	if remembered != 0 {
		t.Errorf("%d ids are remembered", remembered)
	}
}

func TestAppendsBegunOneAfterTheOtherAreAppliedInOrder(t *testing.T) {
	l := open(t, Options{})
	release := occupy(t, l)
	leaving, leave := context.WithCancel(t.Context())
	var pending []*Pending
	for i, ctx := range []context.Context{t.Context(), leaving, t.Context(), t.Context()} {
		expected := []Expected{NoStream, 0, 0, 1}[i]
		p, err := l.Begin(ctx, "s", expected, one([]string{"a", "left", "b", "c"}[i]))
		if err != nil {
			t.Fatal(err)
		}
		pending = append(pending, p)
	}
	leave()
	release()
	for i, p := range pending {
		written, err := p.Wait()
		if i == 1 {
			if !errors.Is(err, context.Canceled) {
				t.Errorf("the append that was left: %v", err)
			}
			continue
		}
		if err != nil || written.Current != []int64{0, 0, 1, 2}[i] {
			t.Errorf("append %d: %+v, %v", i, written, err)
		}
	}
	if got := types(t, l); got != "a b c" {
		t.Errorf("stored: %s", got)
	}
}

func TestPageWaitsForTheNextEventAndReadsTheLogWhenItHasFallenBehind(t *testing.T) {
	dir := t.TempDir()
	l := open(t, Options{Dir: dir})
	got := make(chan int64, 1)
	go func() {
		events, err := l.Page(t.Context(), 0, make([]*Event, 0, 1))
		if err != nil || len(events) != 1 {
			t.Errorf("page: %v, %v", events, err)
			got <- 0
			return
		}
		got <- events[0].Position
	}()
	await(t, "the follower to wait", func() bool {
		l.tail.mu.Lock()
		defer l.tail.mu.Unlock()
		return l.tail.waiting
	})
	written, err := l.Append(t.Context(), "s", Any, one("a"))
	if err != nil {
		t.Fatal(err)
	}
	if at := <-got; at != written.Position {
		t.Errorf("the event at %d, want %d", at, written.Position)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := l.Page(t.Context(), written.Position, nil); !errors.Is(err, ErrClosed) {
		t.Errorf("a closed log: %v", err)
	}
	l = open(t, Options{Dir: dir}) // nothing is in memory now
	events, err := l.Page(t.Context(), 0, make([]*Event, 0, 1))
	if err != nil || len(events) != 1 || events[0].Position != written.Position {
		t.Errorf("from the log: %v, %v", events, err)
	}
	ctx, leave := context.WithCancel(t.Context())
	leave()
	if _, err := l.Page(ctx, written.Position, nil); !errors.Is(err, context.Canceled) {
		t.Errorf("a follower that has left: %v", err)
	}
}
