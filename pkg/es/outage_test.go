package es_test

import (
	"context"
	"errors"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
	"orderflow/pkg/esdbserver/esdbservertest"
)

func TestAnAppendCountsOnceWhateverTheWriterIsTold(t *testing.T) {
	server, _, counters := counters(t)
	id := cause.NewID()
	update(t, counters, id, 1)
	for n, test := range []struct {
		name    string
		failure esdbservertest.Failure
		decides int // again only where the store surely has not written
	}{
		{"written, and the answer is lost", esdbservertest.AnswerLost(), 1},
		{"written, and the store says that it timed out", esdbservertest.Written(status.Error(codes.Aborted, "timed out")), 1},
		{"timed out before it was written", esdbservertest.TimedOut(), 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			server.FailAppends(test.failure)
			decided := 0
			state, at, err := counters.Update(within(t), id, command(), es.Precondition{}, func(counter) ([]added, error) {
				decided++
				return []added{{10}}, nil
			})
			if want := (counter{1 + 10*(n+1), n + 2}); err != nil || state != want || int(at) != n+1 {
				t.Errorf("got %+v at %d, %v; want %+v", state, at, err, want)
			}
			if decided != test.decides {
				t.Errorf("decided %d times, want %d", decided, test.decides)
			}
		})
	}
}

func TestAServerThatStopsUnderACommandIsWaitedFor(t *testing.T) {
	server, _, counters := counters(t, esdbservertest.InDir(t.TempDir()))
	id := cause.NewID()
	update(t, counters, id, 1)
	stopped := false
	state, _, err := counters.Update(within(t), id, command(), es.Precondition{}, func(counter) ([]added, error) {
		if !stopped {
			stopped = true
			server.Stop()
			go server.Start()
		}
		return []added{{10}}, nil
	})
	if err != nil || state != (counter{11, 2}) {
		t.Errorf("got %+v, %v", state, err)
	}
}

// The official client tries to find a server ten times, a tenth of a second
// apart, and never again.
func TestAnOutageOfAnyLengthIsSurvived(t *testing.T) {
	server, store, counters := counters(t, esdbservertest.InDir(t.TempDir()))
	id := cause.NewID()
	update(t, counters, id, 1)
	server.Stop()
	ctx, cancel := context.WithTimeout(t.Context(), 1500*time.Millisecond)
	defer cancel()
	_, _, err := counters.Update(ctx, id, command(), es.Precondition{}, add(1))
	if !errors.Is(err, es.ErrUnavailable) || !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("updating: got %v, want ErrUnavailable and the end of the context", err)
	}
	if _, _, err := counters.Load(ctx, id); !errors.Is(err, es.ErrUnavailable) {
		t.Errorf("loading: got %v, want ErrUnavailable", err)
	}
	if err := store.Ready(t.Context()); !errors.Is(err, es.ErrUnavailable) { // it does not wait
		t.Errorf("ready: got %v, want ErrUnavailable", err)
	}
	waiting := make(chan error)
	go func() {
		_, _, err := counters.Update(within(t), id, command(), es.Precondition{}, add(10))
		waiting <- err
	}()
	server.Start()
	if err := <-waiting; err != nil {
		t.Errorf("a command that waited: %v", err)
	}
	if state, _ := update(t, counters, id, 100); state.Sum != 111 {
		t.Errorf("sum %d after the outage, want 111", state.Sum)
	}
	if err := store.Ready(within(t)); err != nil {
		t.Error(err)
	}
}

func TestAStoreMayBeOpenedBeforeItsServerIsThere(t *testing.T) {
	server := esdbservertest.New(t)
	server.Stop()
	store := connect(t, server.ConnectionString())
	eventually(t, "it says why it is not ready", func() bool {
		ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
		defer cancel()
		err := store.Ready(ctx)
		return err != nil && strings.Contains(err.Error(), "connection refused")
	})
	server.Start()
	eventually(t, "it is ready", func() bool { return store.Ready(within(t)) == nil })
}

func TestCallsDuringAnOutageLeaveNothingBehind(t *testing.T) {
	server, _, counters := counters(t)
	id := cause.NewID()
	update(t, counters, id, 1)
	server.Stop()
	abandoned := func(n int) {
		var group sync.WaitGroup
		for range n {
			group.Go(func() {
				ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
				defer cancel()
				if _, _, err := counters.Load(ctx, id); !errors.Is(err, es.ErrUnavailable) {
					t.Errorf("got %v, want ErrUnavailable", err)
				}
			})
		}
		group.Wait()
	}
	abandoned(1)
	before := runtime.NumGoroutine()
	abandoned(1000)
	eventually(t, "the goroutines of abandoned calls ended", func() bool { return runtime.NumGoroutine() <= before+5 })
}

func TestOutagesUnderLoadLoseAndDoubleNothing(t *testing.T) {
	server, _, counters := counters(t, esdbservertest.InDir(t.TempDir()))
	id := cause.NewID()
	const writers, each = 4, 10
	var done atomic.Int64
	var group sync.WaitGroup
	for range writers {
		group.Go(func() {
			for range each {
				if _, _, err := counters.Update(within(t), id, command(), es.Precondition{}, add(1)); err != nil {
					t.Error(err)
				}
				done.Add(1)
			}
		})
	}
	for i := range int64(2) {
		eventually(t, "some work was done", func() bool { return done.Load() > (i+1)*writers*each/4 })
		server.Stop()
		server.Start()
	}
	group.Wait()
	if state, _, err := counters.Load(within(t), id); err != nil || state.Sum != writers*each {
		t.Errorf("counted %d of %d, %v", state.Sum, writers*each, err)
	}
}

func TestClosingUnderLoadEndsEveryCall(t *testing.T) {
	for range 5 {
		_, store, counters := counters(t)
		started := make(chan struct{}, 16)
		var group sync.WaitGroup
		for range cap(started) {
			group.Go(func() {
				for {
					_, _, err := counters.Update(within(t), cause.NewID(), command(), es.Precondition{}, add(1))
					if err != nil {
						if !errors.Is(err, es.ErrUnavailable) || within(t).Err() != nil {
							t.Errorf("got %v, want ErrUnavailable", err)
						}
						return
					}
					select {
					case started <- struct{}{}:
					default:
					}
				}
			})
		}
		for range cap(started) {
			<-started
		}
		store.Close()
		store.Close()
		group.Wait()
		if err := store.Ready(t.Context()); !errors.Is(err, es.ErrUnavailable) {
			t.Errorf("ready after closing: %v", err)
		}
	}
}

func TestReadyDoesNotWaitForAServerThatHasNeverBeenThere(t *testing.T) {
	store, err := es.Open("esdb://127.0.0.1:1?tls=false", nil) // nobody listens on that port
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for range 3 {
		if err := store.Ready(t.Context()); !errors.Is(err, es.ErrUnavailable) {
			t.Errorf("ready: got %v, want ErrUnavailable", err)
		}
	}
	for _, end := range []context.CancelFunc{func() {}, store.Close} {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		end()
		if err := store.Ready(ctx); !errors.Is(err, es.ErrUnavailable) {
			t.Errorf("ready: got %v, want ErrUnavailable", err)
		}
	}
}

func TestClosingDuringAnOutageEndsThoseWhoWait(t *testing.T) {
	server, store, counters := counters(t)
	update(t, counters, cause.NewID(), 1)
	server.Stop()
	waiting := make(chan error)
	go func() {
		_, _, err := counters.Load(t.Context(), cause.NewID()) // without a deadline
		waiting <- err
	}()
	eventually(t, "the outage was noticed", func() bool { return store.Ready(t.Context()) != nil })
	store.Close()
	if err := <-waiting; !errors.Is(err, es.ErrUnavailable) {
		t.Errorf("got %v, want ErrUnavailable", err)
	}
}

func TestAConnectionStringIsRefusedInOneLineWithoutItsPassword(t *testing.T) {
	for _, text := range []string{
		"", "nonsense", "http://host", "esdb://", "esdb://admin:s3cret@host:port", "esdb://admin:s3cret%zz@host", "esdb://h:1?tls=perhaps",
		"esdb://admin:s3cret/s3cret@host:2113", "esdb://admin:1/s3cret@host:2113", "esdb://admin:1?s3cret@host:2113", "esdb://admin:1#s3cret@host:2113",
		"esdb://admin:s3cret,@h1:port,h2:2", "esdb://admin:s3cret@h1:1,h2:port", "esdb://:s3cret@host:2113", "esdb://admin:s3cret@host:2113/path",
		"esdb://admin:s3cret@host:2113?tlsCAFile=/nowhere/ca.pem", "esdb://admin:s3cret@host:2113?userCertFile=only",
	} {
		_, err := es.Open(text, nil)
		if err == nil {
			t.Errorf("%q was taken", text)
			continue
		}
		if strings.Contains(err.Error(), "s3cret") || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q: %v", text, err)
		}
	}
}
