package figures

import (
	"bufio"
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
)

// board is a summary that a test changes: the number of orders placed.
type board struct {
	placed  atomic.Int64
	reads   atomic.Int64
	changed chan struct{}
	broken  atomic.Bool
}

func (b *board) read(context.Context) (Summary, error) {
	b.reads.Add(1)
	if b.broken.Load() {
		return Summary{}, errors.New("no database")
	}
	return Summary{OrdersByStatus: ByStatus{Placed: b.placed.Load()}, Revenue: []Money{}}, nil
}

func (b *board) set(n int64) {
	b.placed.Store(n)
	select {
	case b.changed <- struct{}{}:
	default:
	}
}

// screen is a client that keeps what it is sent.
type screen struct {
	mu     sync.Mutex
	header http.Header
	status int
	text   strings.Builder
}

func newScreen() *screen { return &screen{header: http.Header{}} }

func (s *screen) Header() http.Header { return s.header }

func (s *screen) WriteHeader(status int) { s.status = status }

func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.Write(p)
}

func (s *screen) Flush() {}

// shown lists the numbers of orders and the comments that were sent.
func (s *screen) shown() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var shown []string
	lines := bufio.NewScanner(strings.NewReader(s.text.String()))
	for lines.Scan() {
		if number, ok := strings.CutPrefix(lines.Text(), `data: {"ordersByStatus":{"placed":`); ok {
			number, _, _ = strings.Cut(number, ",")
			shown = append(shown, number)
		} else if strings.HasPrefix(lines.Text(), ":") {
			shown = append(shown, "heartbeat")
		}
	}
	return shown
}

// watching runs live figures and one client in a bubble of synthetic time.
func watching(t *testing.T, test func(t *testing.T, b *board, s *screen)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		b := &board{changed: make(chan struct{}, 1)}
		live := newLive(b.read, b.changed)
		ctx, cancel := context.WithCancel(t.Context())
		s := newScreen()
		var running sync.WaitGroup
		running.Go(func() {
			if err := live.Run(ctx); err != nil {
				t.Error(err)
			}
		})
		running.Go(func() { live.ServeHTTP(s, httptest.NewRequestWithContext(ctx, http.MethodGet, "/live", nil)) })
		synctest.Wait()
		test(t, b, s)
		cancel()
		running.Wait() // both end
		if len(live.clients) != 0 {
			t.Errorf("%d clients are left", len(live.clients))
		}
	})
}

func TestClientIsShownTheFiguresAtOnceAndEveryChange(t *testing.T) {
	watching(t, func(t *testing.T, b *board, s *screen) {
		if s.status != http.StatusOK || s.header.Get("Content-Type") != "text/event-stream" || !strings.HasPrefix(s.text.String(), "event: summary\ndata: {") {
			t.Errorf("%d %v %q", s.status, s.header, s.text.String())
		}
		for n := range int64(3) {
			b.set(n + 1)
			synctest.Wait() // without time passing: a change is shown at once
			<-time.After(leastPause)
		}
		if diff := cmp.Diff([]string{"0", "1", "2", "3"}, s.shown()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestManyChangesAreShownTenTimesASecond(t *testing.T) {
	watching(t, func(t *testing.T, b *board, s *screen) {
		for n := range int64(1000) { // a second of them
			b.set(n + 1)
			<-time.After(time.Millisecond)
		}
		<-time.After(leastPause)
		synctest.Wait()
		shown := s.shown()
		if len(shown) > 13 || len(shown) < 10 || shown[len(shown)-1] != "1000" {
			t.Errorf("%d summaries: %v", len(shown), shown)
		}
	})
}

func TestChangeOfAnotherProcessIsFound(t *testing.T) {
	watching(t, func(t *testing.T, b *board, s *screen) {
		b.placed.Store(7) // and nobody says so
		<-time.After(lookAlways + leastPause)
		synctest.Wait()
		if diff := cmp.Diff([]string{"0", "7"}, s.shown()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestQuietStreamShowsThatItIsAlive(t *testing.T) {
	watching(t, func(t *testing.T, _ *board, s *screen) {
		<-time.After(2*heartbeat + time.Second)
		synctest.Wait()
		if diff := cmp.Diff([]string{"0", "heartbeat", "heartbeat"}, s.shown()); diff != "" {
			t.Error(diff)
		}
	})
}

func TestSlowClientGetsTheLatest(t *testing.T) {
	live := newLive(nil, nil)
	client := live.join()
	for n := range 5 {
		live.tell([]byte(strconv.Itoa(n)))
	}
	if got := string(<-client); got != "4" {
		t.Errorf("got %s", got)
	}
}

func TestNobodyWatchingCostsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := &board{changed: make(chan struct{}, 1)}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		if err := newLive(b.read, b.changed).Run(ctx); err != nil {
			t.Error(err)
		}
		if b.reads.Load() != 0 {
			t.Errorf("read %d times", b.reads.Load())
		}
	})
}

func TestFiguresThatCannotBeReadAreAProblem(t *testing.T) {
	b := &board{changed: make(chan struct{}, 1)}
	b.broken.Store(true)
	live := newLive(b.read, b.changed)
	answer := httptest.NewRecorder()
	live.ServeHTTP(answer, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/live", nil))
	if answer.Code != http.StatusServiceUnavailable || answer.Header().Get("Content-Type") != "application/problem+json" || answer.Header().Get("Retry-After") == "" {
		t.Errorf("%d %v", answer.Code, answer.Header())
	}
	live.join()
	b.set(1)
	if err := live.Run(t.Context()); err == nil {
		t.Error("the loop does not say so")
	}
}
