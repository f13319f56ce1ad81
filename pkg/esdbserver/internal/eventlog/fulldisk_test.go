package eventlog

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
)

// trial is a log on a disk that fails, and what its writers were told.
type trial struct {
	dir string

	mu      sync.Mutex
	acked   map[uuid.UUID]int64 // id of an append's first event: position of its last one
	refused map[uuid.UUID]error
}

func newTrial(dir string) *trial {
	return &trial{dir: dir, acked: map[uuid.UUID]int64{}, refused: map[uuid.UUID]error{}}
}

const (
	trialWriters = 4
	trialEvents  = 3 // of one append
)

// write lets writers append side by side until each of them has been refused, or has succeeded, so often.
func (d *trial) write(t *testing.T, l *Log, successes, refusals int) {
	t.Helper()
	var writers sync.WaitGroup
	for w := range trialWriters {
		writers.Go(func() {
			for ok, refused := 0, 0; ok < successes && refused < refusals; {
				first := uuid.New()
				events := make([]Proposed, trialEvents)
				for i := range events {
					events[i] = Proposed{ID: uuid.NewSHA1(first, []byte{byte(i)}), Type: first.String(), Data: make([]byte, 7000)}
				}
				answer, err := l.Append(t.Context(), fmt.Sprintf("s-%d", w), Any, events)
				d.mu.Lock()
				if err == nil {
					d.acked[first] = answer.Position
					ok++
				} else {
					d.refused[first] = err
					refused++
				}
				d.mu.Unlock()
			}
		})
	}
	writers.Wait()
}

// check compares what is stored with what the writers were told. It returns how many of the refused appends are stored.
func (d *trial) check(t *testing.T, l *Log) (refusedAndStored int) {
	t.Helper()
	events := everything(t, l)
	if len(events)%trialEvents != 0 {
		t.Fatalf("%d events are not whole appends", len(events))
	}
	left := len(d.acked)
	for i, e := range events {
		first := uuid.MustParse(e.Type)
		if want := uuid.NewSHA1(first, []byte{byte(i % trialEvents)}); e.ID != want {
			t.Fatalf("event %d is not event %d of its append", i, i%trialEvents)
		}
		if i > 0 && e.Position <= events[i-1].Position {
			t.Fatalf("position %d follows %d", e.Position, events[i-1].Position)
		}
		if i%trialEvents != trialEvents-1 {
			continue
		}
		position, acked := d.acked[first]
		_, refused := d.refused[first]
		switch {
		case acked && position == e.Position:
			left--
		case refused:
			refusedAndStored++
		default:
			t.Errorf("an append lies at %d, answered %t with position %d", e.Position, acked, position)
		}
	}
	if left != 0 {
		t.Errorf("%d acknowledged appends are gone", left)
	}
	return refusedAndStored
}

// fullDisk fills the disk with what writers append, and makes room again.
func fullDisk(t *testing.T, dir string, makeRoom func()) {
	t.Helper()
	l, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	d := newTrial(dir)
	d.write(t, l, 1<<20, 20)
	full := len(d.acked)
	if full == 0 || len(d.refused) < 20*trialWriters {
		t.Fatalf("%d appends were stored and %d refused", full, len(d.refused))
	}
	if stored := d.check(t, l); stored != 0 {
		t.Errorf("while the disk is full: %d refused appends are stored", stored)
	}

	makeRoom()
	refused := len(d.refused)
	d.write(t, l, 20, 1)
	if len(d.refused) > refused || len(d.acked) != full+20*trialWriters {
		for _, err := range d.refused {
			t.Log(err)
		}
		t.Errorf("with room again: %d appends refused, %d stored", len(d.refused)-refused, len(d.acked)-full)
	}
	if err := l.Writable(); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil {
		t.Errorf("close: %v", err)
	}
	again := open(t, Options{Dir: dir})
	if stored := d.check(t, again); stored != 0 {
		t.Errorf("after a restart: %d refused appends are stored", stored)
	}
	highest := again.LastPosition()
	d.write(t, again, 5, 1)
	for _, position := range d.acked {
		if position > highest {
			highest = 0
		}
	}
	if highest != 0 {
		t.Error("positions do not go on behind those given before the restart")
	}
	d.check(t, again)
}

// brokenFsync appends until the disk fails to confirm a write, which fail brings about, and leaves the directory as a
// process does that is killed then.
func brokenFsync(t *testing.T, dir string, fail func() error) {
	t.Helper()
	told := make(chan struct{}) // closing it twice would panic
	l, err := Open(Options{Dir: dir, DiskFailed: func() { close(told) }})
	if err != nil {
		t.Fatal(err)
	}
	d := newTrial(dir)
	d.write(t, l, 20, 1)
	before := everything(t, l)
	if err := fail(); err != nil {
		err = errors.Join(err, l.Close())
		if os.Getenv("REQUIRE_REAL") == "1" {
			t.Fatalf("the disk cannot be made to fail here: %v", err)
		}
		t.Skipf("the disk cannot be made to fail here: %v", err)
	}
	d.write(t, l, 1, 5)
	if want := trialWriters * 5; len(d.refused) != want {
		t.Fatalf("%d appends were refused, want %d", len(d.refused), want)
	}
	for _, err := range d.refused {
		if !errors.Is(err, ErrDiskFailed) {
			t.Errorf("a writer was told %v", err)
		}
	}
	if err := l.Writable(); !errors.Is(err, ErrDiskFailed) {
		t.Errorf("the log says about itself: %v", err)
	}
	<-told
	if after := everything(t, l); !reflect.DeepEqual(before, after) {
		t.Errorf("readers saw %d events before and see %d other ones", len(before), len(after))
	}
	if _, err := l.Stream(t.Context(), "s-0"); err != nil {
		t.Error(err)
	}
	if err := l.Close(); err != nil && !strings.Contains(err.Error(), "disk I/O error") {
		t.Errorf("close: %v", err)
	}
}
