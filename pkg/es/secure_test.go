package es_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
	"orderflow/pkg/esdbserver/esdbservertest"
)

func TestASecureServerIsUsedWithCredentials(t *testing.T) {
	server := esdbservertest.New(t, esdbservertest.Secure())
	store := connect(t, server.ConnectionStringFor("admin", "changeit"))
	if err := store.Ready(within(t)); err != nil {
		t.Fatal(err)
	}
	counters := es.NewRepository(store, "counter", codec{}, apply)
	id := cause.NewID()
	update(t, counters, id, 1)
	if state, at := update(t, counters, id, 10); state != (counter{11, 2}) || at != 1 {
		t.Errorf("got %+v at %d", state, at)
	}
	errEnough := errors.New("enough")
	var followed []string
	err := store.Follow(within(t), 0, []string{"counter-"}, func(_ context.Context, batch es.Batch) error {
		for _, e := range batch.Events {
			followed = append(followed, e.Type)
		}
		if len(followed) == 2 {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) || fmt.Sprint(followed) != "[added added]" {
		t.Errorf("followed %v, %v", followed, err)
	}
}

// What waiting does not mend is told at once, and is no outage.
func TestCallsWithoutTheRightAreToldSo(t *testing.T) {
	server := esdbservertest.New(t, esdbservertest.Secure())
	for _, test := range []struct {
		who, password       string
		writes, reads, says string // parts of the errors; empty: it works
	}{
		{"admin", "s3cret", "Unauthenticated", "Unauthenticated", "Unauthenticated"},
		{"nobody", "s3cret", "Unauthenticated", "Unauthenticated", "Unauthenticated"},
		{"", "", "Access Denied", "Access Denied", "Access Denied"},
		{"ops", "changeit", "", "Access Denied", ""}, // who may not read $all
	} {
		store := connect(t, server.ConnectionStringFor(test.who, test.password))
		counters := es.NewRepository(store, "counter", codec{}, apply)
		_, _, updated := counters.Update(within(t), cause.NewID(), command(), es.Precondition{}, add(1))
		followed := store.Follow(within(t), 0, []string{"counter-"}, func(context.Context, es.Batch) error { return errors.New("worked") })
		for what, pair := range map[string]struct {
			err  error
			want string
		}{"update": {updated, test.writes}, "follow": {followed, test.reads}, "ready": {store.Ready(within(t)), test.says}} {
			switch {
			case pair.want == "" && pair.err == nil:
			case pair.err == nil || !strings.Contains(pair.err.Error(), pair.want):
				t.Errorf("%q, %s: %v, want %q", test.who, what, pair.err, pair.want)
			case errors.Is(pair.err, es.ErrUnavailable):
				t.Errorf("%q, %s: taken for an outage: %v", test.who, what, pair.err)
			case strings.Contains(pair.err.Error(), "s3cret"):
				t.Errorf("%q, %s: gives the password away: %v", test.who, what, pair.err)
			}
		}
	}
}

func TestAServerThatIsNotTrustedIsNotUsed(t *testing.T) {
	server := esdbservertest.New(t, esdbservertest.Secure())
	store := connect(t, "esdb://admin:s3cret@"+server.Addr()+"?tls=true") // no well-known authority has signed its certificate
	err := store.Ready(within(t))
	if err == nil || !strings.Contains(err.Error(), "certificate") || strings.Contains(err.Error(), "s3cret") {
		t.Errorf("ready: %v", err)
	}
}

func TestAConnectionStringIsShownWithoutItsPassword(t *testing.T) {
	for text, want := range map[string]string{
		"esdb://127.0.0.1:2113?tls=false":                    "esdb://127.0.0.1:2113?tls=false",
		"esdb://admin:s3cret@host:2113?tls=true":             "esdb://admin:xxxxx@host:2113?tls=true",
		"esdb+discover://admin:s3%20cret@host?tlsCAFile=a@b": "esdb+discover://admin:xxxxx@host?tlsCAFile=a@b",
		"esdb://host:2113?tls=true&tlsCAFile=/a@b/ca.pem":    "esdb://host:2113?tls=true&tlsCAFile=/a@b/ca.pem",
		"esdb://admin:s3cret@h1:1,h2:2?tls=true":             "esdb://admin:xxxxx@h1:1,h2:2?tls=true",
		"esdb://admin:1/s3cret@host:2113":                    "esdb://xxxxx@host:2113",
		"esdb://admin:1#s3cret@host:2113":                    "esdb://xxxxx@host:2113",
		"esdb://admin:%zz@host:2113":                         "esdb://xxxxx@host:2113",
		"esdb://h1:1,h2:2?tls=true":                          "esdb://h1:1,h2:2?tls=true",
		"admin:s3cret@host":                                  "esdb://xxxxx@host",
		"":                                                   "",
	} {
		if got := es.Redacted(text); got != want {
			t.Errorf("%s is shown as %s, want %s", text, got, want)
		}
	}
}
