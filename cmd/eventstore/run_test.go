package main

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// program is a run of the command.
type program struct {
	connectionString string
	stderr           *bytes.Buffer // to be read once it has ended
	stop             func() int
}

// start runs the command until stop is called, which returns the exit code.
func start(t *testing.T, args ...string) *program {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	stdout, line := io.Pipe()
	p := &program{stderr: &bytes.Buffer{}}
	ended := make(chan int, 1)
	go func() {
		code := run(ctx, append([]string{"--listen", "127.0.0.1:0", "--log-level", "warn"}, args...), line, p.stderr)
		line.Close()
		ended <- code
	}()
	first, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("no ready line (%v): %s", err, p.stderr)
	}
	_, p.connectionString, _ = strings.Cut(strings.TrimSpace(first), "event store ready: ")
	stopped := false
	p.stop = func() int {
		if stopped {
			return 0
		}
		stopped = true
		cancel()
		return <-ended
	}
	t.Cleanup(func() { p.stop() })
	return p
}

func (p *program) client(t *testing.T) *esdb.Client {
	t.Helper()
	config, err := esdb.ParseConnectionString(p.connectionString)
	if err != nil {
		t.Fatalf("the ready line gives %q: %v", p.connectionString, err)
	}
	config.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}

func TestReadyLineGivesAConnectionStringThatWorks(t *testing.T) {
	p := start(t)
	_, err := p.client(t).AppendToStream(t.Context(), "s", esdb.AppendToStreamOptions{}, esdb.EventData{EventType: "x"})
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.Get("http://" + strings.TrimSuffix(strings.TrimPrefix(p.connectionString, "esdb://"), "?tls=false") + "/health/live")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	http.DefaultClient.CloseIdleConnections()
	if response.StatusCode != http.StatusNoContent {
		t.Errorf("/health/live answers %d", response.StatusCode)
	}
}

func TestStoppedServerExitsWithoutErrorAndKeepsItsEvents(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "when", "missing")
	first := start(t, "--data", dir)
	if _, err := first.client(t).AppendToStream(t.Context(), "s", esdb.AppendToStreamOptions{}, esdb.EventData{EventType: "x"}); err != nil {
		t.Fatal(err)
	}
	subscription, err := first.client(t).SubscribeToAll(t.Context(), esdb.SubscribeToAllOptions{From: esdb.End{}})
	if err != nil {
		t.Fatal(err)
	}
	defer subscription.Close()
	if code := first.stop(); code != 0 {
		t.Fatalf("exit code %d: %s", code, first.stderr)
	}

	read, err := start(t, "--data", dir).client(t).ReadStream(t.Context(), "s", esdb.ReadStreamOptions{}, 10)
	if err != nil {
		t.Fatal(err)
	}
	defer read.Close()
	if event, err := read.Recv(); err != nil || event.Event.EventType != "x" {
		t.Errorf("after the restart: %v, %v", event, err)
	}
}

func TestServerThatCannotRunSaysWhyOnOneLine(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	foreign := t.TempDir()
	if err := os.WriteFile(filepath.Join(foreign, "events.sqlite"), bytes.Repeat([]byte("not a database\n"), 1000), 0o600); err != nil {
		t.Fatal(err)
	}
	locked := t.TempDir()
	start(t, "--data", locked)

	for _, test := range []struct {
		name string
		args []string
		code int
		says []string
	}{
		{"port in use", []string{"--listen", taken.Addr().String()}, 1, []string{taken.Addr().String(), "address already in use"}},
		{"data directory of a running server", []string{"--listen", "127.0.0.1:0", "--data", locked}, 1, []string{locked, "another server uses it"}},
		{"data directory with a foreign file", []string{"--listen", "127.0.0.1:0", "--data", foreign}, 1, []string{foreign, "damaged or not a SQLite database"}},
		{"unknown flag", []string{"--lisen", "x"}, 2, []string{"--lisen"}},
		{"a data directory without a name", []string{"--data", ""}, 2, []string{"--data", "in memory"}},
		{"unknown log level", []string{"--log-level", "loud"}, 2, []string{"loud"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeoutCause(t.Context(), 30*time.Second, errors.New("the program did not give up"))
			defer cancel()
			var stdout, stderr bytes.Buffer
			if code := run(ctx, test.args, &stdout, &stderr); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			if lines := strings.Count(stderr.String(), "\n"); lines != 1 {
				t.Errorf("%d lines instead of one:\n%s", lines, &stderr)
			}
			for _, text := range test.says {
				if !strings.Contains(stderr.String(), text) {
					t.Errorf("%q does not say %q", &stderr, text)
				}
			}
			if stdout.Len() > 0 {
				t.Errorf("said it was ready: %s", &stdout)
			}
		})
	}
}

func TestHelpIsNoError(t *testing.T) {
	var stdout, stderr bytes.Buffer
	if code := run(t.Context(), []string{"--help"}, &stdout, &stderr); code != 0 {
		t.Errorf("exit code %d: %s", code, &stderr)
	}
	if !strings.Contains(stdout.String(), "--data") {
		t.Errorf("help does not name the flags:\n%s", &stdout)
	}
}
