package esdbservertest_test

import (
	"crypto/tls"
	"net"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"go.uber.org/goleak"

	"orderflow/pkg/esdbserver"
	"orderflow/pkg/esdbserver/esdbservertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, esdbservertest.ClientLeaks()...) }

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

func TestRestartWaitsForAPortThatSomebodyElseHasGot(t *testing.T) {
	store := esdbservertest.New(t)
	store.Stop()
	if other, err := net.Listen("tcp", store.Addr()); err == nil { // or somebody else has got it already
		time.AfterFunc(50*time.Millisecond, func() { other.Close() })
	}
	store.Start()
	if err := write(t, store, "s", 1); err != nil {
		t.Error(err)
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

func TestSecureStoreHasUsersThatTheOfficialClientCanBe(t *testing.T) {
	for name, options := range map[string][]esdbservertest.Option{
		"in memory":      {esdbservertest.Secure()},
		"in a directory": {esdbservertest.InDir(t.TempDir()), esdbservertest.Secure()},
	} {
		t.Run(name, func(t *testing.T) {
			store := esdbservertest.New(t, options...)
			for range 2 {
				if err := write(t, store, "$system", 1); err != nil {
					t.Errorf("the administrator: %v", err)
				}
				for user, password := range map[string]string{"ops": "changeit", "admin": "wrong", "": ""} {
					_, err := store.ClientFor(t, user, password).AppendToStream(t.Context(), "$system", esdb.AppendToStreamOptions{}, esdb.EventData{EventType: "x"})
					if err == nil {
						t.Errorf("%q with %q was let in", user, password)
					}
				}
				store.Stop()
				store.Start()
			}
		})
	}
}

func TestCertificateOfYourOwnIsTaken(t *testing.T) {
	var own *tls.Config
	esdbservertest.New(t, esdbservertest.Secure(), func(c *esdbserver.Config) { own = c.TLS })
	store := esdbservertest.New(t, esdbservertest.Configure(func(c *esdbserver.Config) { c.TLS, c.PasswordIterations = own, 100 }))
	if err := write(t, store, "s", 1); err != nil {
		t.Error(err)
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
