package esdbservertest_test

import (
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"go.uber.org/goleak"

	"orderflow/pkg/esdbserver"
	"orderflow/pkg/esdbserver/esdbservertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func write(t *testing.T, store *esdbservertest.Server, stream string, data int) error {
	t.Helper()
	_, err := store.Client(t).AppendToStream(t.Context(), stream, esdb.AppendToStreamOptions{}, esdb.EventData{EventType: "x", Data: make([]byte, data)})
	return err
}

func TestRestartKeepsThePortAndADirectorysEvents(t *testing.T) {
	for name, test := range map[string]struct {
		options []esdbservertest.Option
		kept    int
	}{
		"in memory":      {nil, 0},
		"in a directory": {[]esdbservertest.Option{esdbservertest.InDir(t.TempDir())}, 1},
	} {
		t.Run(name, func(t *testing.T) {
			store := esdbservertest.New(t, test.options...)
			if err := write(t, store, "s", 1); err != nil {
				t.Fatal(err)
			}
			before := store.ConnectionString()
			store.Stop()
			store.Stop()
			store.Start()
			store.Start()
			if after := store.ConnectionString(); after != before {
				t.Errorf("%s became %s", before, after)
			}
			if got := len(store.Events(t, "s")); got != test.kept {
				t.Errorf("%d events after the restart, want %d", got, test.kept)
			}
		})
	}
}

func TestClockIsRealUntilItIsSet(t *testing.T) {
	store := esdbservertest.New(t)
	begun := time.Now().Add(-time.Second)
	at := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	for _, step := range []func(){func() {}, func() { store.SetClock(at) }, func() { store.Advance(time.Hour) }} {
		step()
		if err := write(t, store, "s", 1); err != nil {
			t.Fatal(err)
		}
	}
	events := store.Events(t, "s")
	if len(events) != 3 {
		t.Fatalf("%d events", len(events))
	}
	if events[0].CreatedDate.Before(begun) {
		t.Errorf("created at %v", events[0].CreatedDate)
	}
	if !events[1].CreatedDate.Equal(at) || !events[2].CreatedDate.Equal(at.Add(time.Hour)) {
		t.Errorf("created at %v and %v", events[1].CreatedDate, events[2].CreatedDate)
	}
}

func TestStoreCanBeConfigured(t *testing.T) {
	store := esdbservertest.New(t, esdbservertest.Configure(func(c *esdbserver.Config) { c.MaxAppendSize = 100 }))
	if err := write(t, store, "s", 200); err == nil {
		t.Error("the limit is not in force")
	}
	if err := write(t, store, "s", 50); err != nil {
		t.Error(err)
	}
	if got := len(store.All(t)); got != 1 {
		t.Errorf("%d events", got)
	}
	if got := store.Events(t, "never"); got != nil {
		t.Errorf("a stream that never was has %v", got)
	}
}
