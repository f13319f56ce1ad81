package esdbserver_test

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"

	"orderflow/pkg/esdbserver"
	"orderflow/pkg/esdbserver/esdbservertest"
	"orderflow/pkg/esdbserver/internal/eventlog"
)

// benchEvents is how many events a large log has. TEST_LONG=1 makes it a million.
func benchEvents() int {
	if os.Getenv("TEST_LONG") == "1" {
		return 1_000_000
	}
	return 100_000
}

// sample is how many appends are timed at either end of a log.
const sample = 10_000

// storedEvent is the event of the other benchmarks, below gRPC.
func storedEvent() eventlog.Proposed {
	return eventlog.Proposed{ID: uuid.New(), Type: "order-placed", JSON: true, Data: make([]byte, 400), Metadata: make([]byte, 100)}
}

func openLog(b *testing.B, dir string) *eventlog.Log {
	b.Helper()
	log, err := eventlog.Open(eventlog.Options{Dir: dir, WriteTimeout: patience})
	if err != nil {
		b.Fatal(err)
	}
	return log
}

// grow appends so many events quickly, many in one append.
func grow(b *testing.B, log *eventlog.Log, n int, stream func(i int) string) {
	b.Helper()
	const each = 250
	for i := 0; i < n; i += each {
		events := make([]eventlog.Proposed, each)
		for j := range events {
			events[j] = storedEvent()
		}
		if _, err := log.Append(context.Background(), stream(i), eventlog.Any, events); err != nil {
			b.Fatal(err)
		}
	}
}

// timeAppends has writers append single events side by side and returns what one took on average, all of them together.
func timeAppends(b *testing.B, log *eventlog.Log, stream func(i int) string) time.Duration {
	b.Helper()
	var next atomic.Int64
	var writers sync.WaitGroup
	begun := time.Now()
	for range 64 {
		writers.Go(func() {
			for i := next.Add(1); i <= sample; i = next.Add(1) {
				if _, err := log.Append(context.Background(), stream(int(i)), eventlog.Any, []eventlog.Proposed{storedEvent()}); err != nil {
					b.Errorf("append: %v", err)
					return
				}
			}
		})
	}
	writers.Wait()
	return time.Since(begun) / sample
}

// BenchmarkAppendToAGrowingLog compares the first appends to a log with those behind many events. Ratio is last to first.
func BenchmarkAppendToAGrowingLog(b *testing.B) {
	for _, test := range []struct {
		name   string
		stream func(run string) func(i int) string
	}{
		{"many-streams", func(run string) func(i int) string {
			return func(i int) string { return fmt.Sprintf("order-%s-%d", run, i/10) }
		}},
		{"one-stream", func(string) func(int) string { return func(int) string { return "journal" } }},
	} {
		b.Run(test.name, func(b *testing.B) {
			for b.Loop() {
				log := openLog(b, b.TempDir())
				first := timeAppends(b, log, test.stream("first"))
				grow(b, log, benchEvents(), test.stream("middle"))
				last := timeAppends(b, log, test.stream("last"))
				b.ReportMetric(float64(first.Nanoseconds()), "first-ns/append")
				b.ReportMetric(float64(last.Nanoseconds()), "last-ns/append")
				b.ReportMetric(float64(last)/float64(first), "ratio")
				if err := log.Close(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// BenchmarkOpen opens a log of many events: one that was closed, and one whose process was killed.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	log := openLog(b, dir)
	grow(b, log, benchEvents(), func(i int) string { return fmt.Sprintf("order-%d", i/10) })
	killed := b.TempDir()
	for _, name := range []string{"events.sqlite", "events.sqlite-wal", "events.sqlite-shm"} {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(killed, name), content, 0o600)
		}
		if err != nil {
			b.Fatal(err)
		}
	}
	if err := log.Close(); err != nil {
		b.Fatal(err)
	}
	b.Run("closed", func(b *testing.B) {
		for b.Loop() {
			if err := openLog(b, dir).Close(); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("killed", func(b *testing.B) { // the first time only: closing it folds the write-ahead log
		begun := time.Now()
		log := openLog(b, killed)
		b.ReportMetric(float64(time.Since(begun).Milliseconds()), "ms")
		if err := log.Close(); err != nil {
			b.Fatal(err)
		}
	})
}

// BenchmarkStartInMemory is what a test pays for a store of its own.
func BenchmarkStartInMemory(b *testing.B) {
	for b.Loop() {
		server, err := esdbserver.Open(esdbserver.Config{})
		if err != nil {
			b.Fatal(err)
		}
		if err := server.Close(); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkIdleMemory is what the program holds before anybody has called it.
func BenchmarkIdleMemory(b *testing.B) {
	program := filepath.Join(b.TempDir(), "eventstore")
	if output, err := exec.Command("go", "build", "-o", program, "orderflow/cmd/eventstore").CombinedOutput(); err != nil {
		b.Fatalf("build: %v\n%s", err, output)
	}
	for name, args := range map[string][]string{"in-memory": nil, "on-disk": {"--data", b.TempDir()}} {
		b.Run(name, func(b *testing.B) {
			for b.Loop() {
				server := exec.Command(program, append(args, "--listen", "127.0.0.1:0")...)
				output, err := server.StdoutPipe()
				if err != nil {
					b.Fatal(err)
				}
				if err := server.Start(); err != nil {
					b.Fatal(err)
				}
				_, err = output.Read(make([]byte, 1)) // it is ready
				status, statusErr := os.ReadFile(fmt.Sprintf("/proc/%d/status", server.Process.Pid))
				_ = server.Process.Kill()
				_ = server.Wait()
				if err != nil || statusErr != nil {
					b.Skipf("cannot be measured here: %v, %v", err, statusErr)
				}
				found := regexp.MustCompile(`VmRSS:\s+(\d+) kB`).FindSubmatch(status)
				kB, err := strconv.Atoi(string(found[1]))
				if err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(kB)/1024, "MB")
			}
		})
	}
}

// BenchmarkAppendBesideSubscribers appends while others wait: for nothing, for other streams, or for everything.
func BenchmarkAppendBesideSubscribers(b *testing.B) {
	const many = 1000
	for _, test := range []struct {
		name        string
		subscribers int
		options     func(i int) *streams.ReadReq_Options
	}{
		{"none", 0, nil},
		{"of-other-streams", many, func(i int) *streams.ReadReq_Options { return streamFromStart(fmt.Sprintf("other-%d", i)) }},
		{"of-all", many, func(int) *streams.ReadReq_Options { return allFromEnd() }},
	} {
		b.Run(test.name, func(b *testing.B) {
			store := esdbservertest.New(b)
			client := dial(b, store)
			ctx, cancel := context.WithCancel(context.Background())
			var readers sync.WaitGroup
			defer readers.Wait()
			defer cancel()
			for i := range test.subscribers {
				call, err := client.Read(ctx, &streams.ReadReq{Options: test.options(i)})
				if err != nil {
					b.Fatal(err)
				}
				for range 2 { // confirmed and live
					if _, err := call.Recv(); err != nil {
						b.Fatal(err)
					}
				}
				readers.Go(func() {
					for {
						if _, err := call.Recv(); err != nil {
							return
						}
					}
				})
			}
			for b.Loop() {
				if _, err := appendRaw(ctx, client, "s", rawEvent(uuid.New(), "x")); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
