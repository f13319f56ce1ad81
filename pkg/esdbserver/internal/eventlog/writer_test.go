package eventlog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/uuid"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, options Options) *Log {
	t.Helper()
	if options.WriteTimeout == 0 {
		options.WriteTimeout = 30 * time.Second
	}
	l, err := Open(options)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return l
}

func one(eventType string) []Proposed {
	return []Proposed{{ID: uuid.New(), Type: eventType, JSON: true, Data: []byte(`{}`)}}
}

func types(t *testing.T, l *Log) string {
	t.Helper()
	page, err := l.ReadAll(t.Context(), 0, false, 1000)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	for _, e := range page.Events {
		all = append(all, e.Type)
	}
	return strings.Join(all, " ")
}

// occupy keeps the writer busy with a transaction of its own until release is called, so that writes queue up.
func occupy(t *testing.T, l *Log) (release func()) {
	t.Helper()
	entered, leave := make(chan struct{}), make(chan struct{})
	var occupier sync.WaitGroup
	occupier.Go(func() {
		_, err := l.submit(context.Background(), 0, func(*batch) (answer Appended, refusal, failure error) {
			close(entered)
			<-leave
			return answer, nil, nil
		})
		if err != nil {
			t.Errorf("the write that occupies the writer: %v", err)
		}
	})
	<-entered
	release = sync.OnceFunc(func() {
		close(leave)
		occupier.Wait()
	})
	t.Cleanup(release)
	return release
}

// await polls for a condition that other goroutines bring about.
func await(t *testing.T, what string, condition func() bool) {
	t.Helper()
	tick := time.NewTicker(time.Millisecond)
	defer tick.Stop()
	for deadline := time.After(30 * time.Second); !condition(); {
		select {
		case <-tick.C:
		case <-deadline:
			t.Fatalf("waited in vain for %s", what)
		}
	}
}

func TestWriterTakesAllThatHasQueuedAndFits(t *testing.T) {
	l := &Log{queue: newQueue()}
	for range maxBatchWrites + 10 {
		l.queue.add(&write{})
	}
	for range 3 {
		l.queue.add(&write{size: maxBatchBytes})
	}
	l.queue.close()
	if l.queue.add(&write{}) {
		t.Error("a closed queue took a write")
	}
	for i, want := range []int{maxBatchWrites, 11, 1, 1} {
		writes, ended := l.gather()
		if len(writes) != want || ended != (i == 3) {
			t.Errorf("transaction %d: %d writes, want %d; the last: %t", i, len(writes), want, ended)
		}
	}
}

func TestRefusedWriteDoesNotDisturbItsNeighbours(t *testing.T) {
	l := open(t, Options{Dir: t.TempDir()})
	release := occupy(t, l)
	results := make([]error, 30)
	var writers sync.WaitGroup
	for i := range results {
		writers.Go(func() {
			expected := Any
			if i%3 == 0 {
				expected = 99 // nobody is that far
			}
			_, results[i] = l.Append(t.Context(), fmt.Sprintf("s-%d", i), expected, one("x"))
		})
	}
	await(t, "the writes to queue", func() bool { return l.queue.length() == len(results) })
	release()
	writers.Wait()
	for i, err := range results {
		var wrong *WrongExpectedVersionError
		if refused := errors.As(err, &wrong); refused != (i%3 == 0) || !refused && err != nil {
			t.Errorf("write %d: %v", i, err)
		}
	}
	if got := strings.Count(types(t, l), "x"); got != 20 {
		t.Errorf("%d events are stored, want 20", got)
	}
}

func TestWritesInOneTransactionSeeEachOther(t *testing.T) {
	l := open(t, Options{})
	release := occupy(t, l)
	var writers sync.WaitGroup
	var mu sync.Mutex
	won := 0
	for range 10 {
		writers.Go(func() {
			if _, err := l.Append(t.Context(), "s", NoStream, one("x")); err == nil {
				mu.Lock()
				won++
				mu.Unlock()
			}
		})
	}
	await(t, "the writes to queue", func() bool { return l.queue.length() == 10 })
	release()
	writers.Wait()
	if won != 1 {
		t.Errorf("%d writers made the stream", won)
	}
}

func TestDatabaseThatFailsLosesNothingAndGivesNoPositionTwice(t *testing.T) {
	l := open(t, Options{Dir: t.TempDir()})
	before, err := l.Append(t.Context(), "s", NoStream, one("a"))
	if err != nil {
		t.Fatal(err)
	}
	alter := func(statement string) {
		c := <-l.writer
		defer func() { l.writer <- c }()
		if err := c.script(statement); err != nil {
			t.Fatal(err)
		}
	}
	alter(`CREATE TRIGGER broken BEFORE INSERT ON event WHEN instr(NEW.record, CAST('broken' AS BLOB)) > 0 BEGIN SELECT RAISE(ABORT, 'disk on fire'); END`)

	release := occupy(t, l)
	var writers sync.WaitGroup
	results := make([]error, 3)
	for i, eventType := range []string{"neighbour", "broken", "neighbour"} {
		writers.Go(func() { _, results[i] = l.Append(t.Context(), fmt.Sprintf("new-%d", i), NoStream, one(eventType)) })
		await(t, "the write to queue", func() bool { return l.queue.length() == i+1 })
	}
	release()
	writers.Wait()
	for i, err := range results {
		if err == nil || !strings.Contains(err.Error(), "disk on fire") {
			t.Errorf("writer %d of the transaction was told %v", i, err)
		}
	}
	if got := types(t, l); got != "a" {
		t.Errorf("stored: %s", got)
	}

	alter(`DROP TRIGGER broken`)
	for i := range results {
		// Nothing is left of streams that were made in the transaction that failed.
		after, err := l.Append(t.Context(), fmt.Sprintf("new-%d", i), NoStream, one("later"))
		if err != nil || after.Position <= before.Position {
			t.Errorf("afterwards: %+v, %v", after, err)
		}
	}
	if again, err := l.Append(t.Context(), "s", 0, one("b")); err != nil || again.Current != 1 {
		t.Errorf("afterwards, in the old stream: %+v, %v", again, err)
	}
}

// Who was refused because of a neighbour that was then undone has not been refused for any reason that is true.
func TestRefusalIsNotToldWhenTheTransactionFails(t *testing.T) {
	l := open(t, Options{Dir: t.TempDir()})
	c := <-l.writer
	err := c.script(`CREATE TRIGGER broken BEFORE INSERT ON event WHEN instr(NEW.record, CAST('broken' AS BLOB)) > 0 BEGIN SELECT RAISE(ABORT, 'disk on fire'); END`)
	l.writer <- c
	if err != nil {
		t.Fatal(err)
	}
	release := occupy(t, l)
	var writers sync.WaitGroup
	results := make([]error, 3)
	for i, write := range []struct{ stream, eventType string }{{"s", "first"}, {"s", "second"}, {"other", "broken"}} {
		writers.Go(func() { _, results[i] = l.Append(t.Context(), write.stream, NoStream, one(write.eventType)) })
		await(t, "the write to queue", func() bool { return l.queue.length() == i+1 })
	}
	release()
	writers.Wait()
	for i, err := range results {
		if err == nil || !strings.Contains(err.Error(), "disk on fire") {
			t.Errorf("writer %d of the transaction was told %v", i, err)
		}
	}
}

func TestWriteWhoseWriterHasGoneIsNotDone(t *testing.T) {
	l := open(t, Options{})
	release := occupy(t, l)
	ctx, leave := context.WithCancel(t.Context())
	var writer sync.WaitGroup
	writer.Go(func() {
		if _, err := l.Append(ctx, "s", Any, one("leaves")); !errors.Is(err, context.Canceled) {
			t.Errorf("append: %v", err)
		}
	})
	await(t, "the write to queue", func() bool { return l.queue.length() == 1 })
	leave()
	writer.Wait()
	release()
	if _, err := l.Append(t.Context(), "s", Any, one("last")); err != nil {
		t.Fatal(err)
	}
	if got := types(t, l); got != "last" {
		t.Errorf("stored: %s", got)
	}
}

func TestWriteThatWaitsTooLongIsToldSo(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := &Log{options: Options{WriteTimeout: 2 * time.Second}, queue: newQueue()} // and no writer
		begun := time.Now()
		_, err := l.Append(t.Context(), "s", Any, one("x"))
		if !errors.Is(err, ErrTimeout) || time.Since(begun) != 2*time.Second {
			t.Errorf("after %v: %v", time.Since(begun), err)
		}
	})
}

func TestClosingAnswersWhatWasQueuedAndRefusesWhatComesLater(t *testing.T) {
	dir := t.TempDir()
	l, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	release := occupy(t, l)
	var writers sync.WaitGroup
	results := make([]error, 20)
	for i := range results {
		writers.Go(func() { _, results[i] = l.Append(t.Context(), "s", Any, one("x")) })
	}
	await(t, "the writes to queue", func() bool { return l.queue.length() == len(results) })
	closed := make(chan error, 1)
	go func() { closed <- l.Close() }()
	<-l.closing
	if _, err := l.Append(t.Context(), "s", Any, one("late")); !errors.Is(err, ErrClosed) {
		t.Errorf("a late write: %v", err)
	}
	release()
	writers.Wait()
	if err := <-closed; err != nil {
		t.Fatal(err)
	}
	if _, err := l.ReadAll(t.Context(), 0, false, 1); !errors.Is(err, ErrClosed) {
		t.Errorf("a late read: %v", err)
	}
	if got := strings.Count(types(t, open(t, Options{Dir: dir})), "x"); got != len(results) {
		t.Errorf("%d events are stored, want %d", got, len(results))
	}
	for i, err := range results {
		if err != nil {
			t.Errorf("write %d: %v", i, err)
		}
	}
}
