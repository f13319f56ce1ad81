package esdbserver

import (
	"context"
	"net"
	"testing"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"orderflow/pkg/esdbserver/internal/acl"
	"orderflow/pkg/esdbserver/internal/eventlog"
)

// Persistent subscriptions are rights of their own: operators manage them, everybody with a name sees them, and to receive
// events takes the right to read.
func TestGroupsAreManagedByOperatorsAndConsumedByReaders(t *testing.T) {
	log, err := eventlog.Open(eventlog.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	for _, anonymous := range []bool{false, true} {
		server := &Server{security: &security{log: log, allowAnonymous: anonymous}}
		for _, test := range []struct {
			user   acl.User
			do     access
			stream string
			may    bool
		}{
			{acl.User{}, toManageGroups, "s", false},
			{acl.User{Name: "alice"}, toManageGroups, "s", false},
			{acl.User{Name: "ops", Groups: []string{"$ops"}}, toManageGroups, "s", true},
			{acl.User{Name: "ops", Groups: []string{"$ops"}}, toManageGroups, "$all", true},
			{acl.User{Name: "admin", Groups: []string{"$admins"}}, toManageGroups, "$all", true},
			{acl.User{}, toInspectGroups, "s", false},
			{acl.User{Name: "alice"}, toInspectGroups, "$all", true},
			{acl.User{}, toConsume, "s", false},
			{acl.User{Name: "alice"}, toConsume, "s", true},
			{acl.User{Name: "alice"}, toConsume, "$all", false},
			{acl.User{Name: "ops", Groups: []string{"$ops"}}, toConsume, "s", true},
			{acl.User{Name: "ops", Groups: []string{"$ops"}}, toConsume, "$all", false},
			{acl.User{Name: "admin", Groups: []string{"$admins"}}, toConsume, "$all", true},
			{acl.User{}, toRead, "s", anonymous},
			{acl.User{}, toWrite, "s", anonymous},
			{acl.User{}, toDelete, "s", anonymous},
			{acl.User{}, toDelete, "$s", false},
		} {
			ctx := context.WithValue(t.Context(), callerKey{}, test.user)
			err := server.authorize(ctx, test.do, test.stream)
			want := codes.PermissionDenied
			if test.may {
				want = codes.OK
			}
			if got := status.Code(err); got != want {
				t.Errorf("%+v, %d of %s, anonymous access %t: %v, want %v", test.user, test.do, test.stream, anonymous, err, want)
			}
		}
	}
}

func TestInsecureServerAllowsEverything(t *testing.T) {
	server := &Server{}
	for do := toRead; do <= toInspectGroups; do++ {
		if err := server.authorize(t.Context(), do, "$all"); err != nil {
			t.Errorf("%d: %v", do, err)
		}
	}
	err := server.guarded(t.Context(), toRead, "$all", func(_ context.Context, g *guard) error { return g.check() })
	if err != nil {
		t.Errorf("guarded: %v", err)
	}
}

func TestConnectionStringSaysWhetherToEncrypt(t *testing.T) {
	addr := &net.TCPAddr{IP: net.IPv4zero, Port: 2113}
	if got, want := (&Server{}).ConnectionString(addr), "esdb://127.0.0.1:2113?tls=false"; got != want {
		t.Errorf("insecure: %s, want %s", got, want)
	}
	if got, want := (&Server{security: &security{}}).ConnectionString(addr), "esdb://127.0.0.1:2113?tls=true"; got != want {
		t.Errorf("secure: %s, want %s", got, want)
	}
}
