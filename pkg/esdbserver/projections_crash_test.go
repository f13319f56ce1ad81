package esdbserver_test

import (
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"

	"orderflow/pkg/esdbserver/esdbservertest"
)

// killWhileLinking starts a server with system projections on a directory, has writers append until enough is acknowledged,
// and kills it while they go on.
func killWhileLinking(t *testing.T, dir string, enough int64) {
	t.Helper()
	t.Setenv(childProjectionsVariable, "1")
	server := startChild(t, dir)
	var (
		acknowledged atomic.Int64
		reached      = make(chan struct{})
		writers      sync.WaitGroup
	)
	for w := range 4 {
		writers.Go(func() {
			for {
				_, err := appendRaw(withPatience(t), server.client, fmt.Sprintf("crash-%d", w), rawEvent(uuid.New(), "crashed"), rawEvent(uuid.New(), "crashed"))
				if err != nil {
					return // killed
				}
				if acknowledged.Add(1) == enough {
					close(reached)
				}
			}
		})
	}
	select {
	case <-reached:
	case <-withPatience(t).Done():
		t.Error("the writers did not get far enough")
	}
	server.kill()
	writers.Wait()
}

func TestKilledServerLinksEveryEventOnce(t *testing.T) {
	const rounds, appends = 4, 200
	dir := t.TempDir()
	for range rounds {
		killWhileLinking(t, dir, appends)
	}
	store := esdbservertest.New(t, esdbservertest.InDir(dir), esdbservertest.Configure(withProjections))
	linkedUpTo(t, store)
	var want []string
	for _, e := range store.All(t) {
		if e.EventType == "crashed" {
			want = append(want, fmt.Sprintf("%d@%s", e.EventNumber, e.StreamID))
		}
	}
	if len(want) < rounds*appends*2 {
		t.Errorf("only %d events", len(want))
	}
	for _, stream := range []string{"$ce-crash", "$et-crashed"} {
		links := store.Events(t, stream)
		for i, e := range links[:min(len(links), len(want))] {
			if string(e.Data) != want[i] {
				t.Fatalf("%s: link %d is %s, want %s", stream, i, e.Data, want[i])
			}
		}
		if len(links) != len(want) {
			t.Errorf("%s has %d links for %d events", stream, len(links), len(want))
		}
	}
}
