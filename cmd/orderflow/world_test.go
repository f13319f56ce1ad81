package main

import (
	"bytes"
	"context"
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/caarlos0/env/v11"

	"orderflow/cmd/orderflow/internal/datadir"
	"orderflow/cmd/orderflow/internal/embedded"
)

// asProgram makes the test binary be the program: up starts the program that runs as a process of its own.
const asProgram = "ORDERFLOW_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(asProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// world is a machine with a data directory and free ports.
type world struct {
	t       *testing.T
	dir     datadir.Dir
	environ map[string]string
}

func newWorld(t *testing.T) *world {
	t.Helper()
	environ := onFreePorts(env.ToMap(os.Environ()))
	environ[asProgram] = "1"
	environ["STACK"] = "embedded"
	w := &world{t: t, dir: datadir.New(filepath.Join(t.TempDir(), "data"), embedded.Names()), environ: environ}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if _, err := stopRunning(ctx, terminal{Out: &bytes.Buffer{}, Err: &bytes.Buffer{}}, w.dir, false); err != nil {
			t.Errorf("stop what the test started: %v", err)
		}
	})
	return w
}

// said is what a command answered.
type said struct {
	code     int
	out, err string
}

// orderflow runs a command on the world's data and waits for its end.
func (w *world) orderflow(args ...string) said {
	w.t.Helper()
	ctx, cancel := context.WithTimeoutCause(w.t.Context(), 2*time.Minute, errors.New("the command did not end"))
	defer cancel()
	var out, complaints locked
	code := run(ctx, append(args, "--data", w.dir.String()), terminal{Out: &out, Err: &complaints, Environ: w.environ})
	return said{code, out.String(), complaints.String()}
}

// must runs a command that has to succeed.
func (w *world) must(args ...string) string {
	w.t.Helper()
	s := w.orderflow(args...)
	if s.code != 0 {
		w.t.Fatalf("orderflow %s: exit code %d\n%s\n%s", strings.Join(args, " "), s.code, s.out, s.err)
	}
	return s.out
}

// state is what runs.
func (w *world) state() datadir.State {
	w.t.Helper()
	state, up, err := runningState(w.dir)
	if err != nil || !up {
		w.t.Fatalf("nothing is up: %v", err)
	}
	return state
}

// locked is a buffer that a program and a test can use at the same time.
type locked struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *locked) Write(text []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(text)
}

func (l *locked) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// taken is an address at which somebody else listens.
func taken(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	return listener.Addr().String()
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, condition func() bool) {
	t.Helper()
	ticker := time.NewTicker(10 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(30 * time.Second)
	for !condition() {
		select {
		case <-ticker.C:
		case <-deadline:
			t.Fatalf("did not happen: %s", what)
		}
	}
}
