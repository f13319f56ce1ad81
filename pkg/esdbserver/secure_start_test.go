package esdbserver_test

import (
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"orderflow/pkg/esdbserver/esdbservertest"
)

func TestInsecureStoreCanBecomeSecureAndBack(t *testing.T) {
	dir := esdbservertest.InDir(t.TempDir())
	first := esdbservertest.New(t, dir)
	put(t, first, "s", `{}`)
	put(t, first, "$$t", `{"$acl":{"$w":"$admins"}}`)
	first.Stop()

	second := esdbservertest.New(t, dir, esdbservertest.Secure())
	ops := second.ClientFor(t, "ops", "changeit")
	for stream, want := range map[string]string{"s": "ok", "t": "denied"} {
		_, err := ops.AppendToStream(withPatience(t), stream, esdb.AppendToStreamOptions{}, esdb.EventData{EventType: "x"})
		if got := verdict(err); got != want {
			t.Errorf("append to %s: %s, want %s", stream, got, want)
		}
	}
	if events := second.Events(t, "s"); len(events) != 2 {
		t.Errorf("%d events in the stream", len(events))
	}
	second.Stop()

	third := esdbservertest.New(t, dir)
	put(t, third, "t", `{}`)
	if users := third.Events(t, "$users"); len(users) != 2 {
		t.Errorf("%d users are listed", len(users))
	}
}
