package esdbserver_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"orderflow/pkg/esdbserver"
	"orderflow/pkg/esdbserver/esdbservertest"
)

func TestEveryCallerMayDoWhatTheListsSayAndNothingElse(t *testing.T) {
	const all = "append, read, subscribe, delete, tombstone, read metadata, write metadata"
	store := secureStore(t)
	client := store.ClientFor(t, "", "")
	put(t, store, "$settings", `{"$systemStreamAcl":{"$mr":"$ops"}}`)
	for name, test := range map[string]struct {
		prefix, metadata string
		may              map[string]string // operations by user
	}{
		"an ordinary stream": {
			"order-", "",
			map[string]string{"nobody": "", "alice": all, "ops": all, "admin": all},
		},
		"a stream of the sales people": {
			"order-", `{"$acl":{"$r":"sales","$w":["sales"],"$d":["sales"],"$mr":["sales"],"$mw":["sales"]}}`,
			map[string]string{"nobody": "", "alice": all, "ops": "", "admin": all},
		},
		"a stream that alice reads and ops writes": {
			"order-", `{"$acl":{"$r":"alice","$w":"ops","$d":[],"$mr":[],"$mw":[]}}`,
			map[string]string{"nobody": "", "alice": "read, subscribe", "ops": "append", "admin": all},
		},
		"a stream that everybody may only delete": {
			"order-", `{"$acl":{"$r":[],"$w":[],"$d":"$all","$mr":[],"$mw":[]}}`,
			map[string]string{"nobody": "", "alice": "delete, tombstone", "ops": "delete, tombstone", "admin": all},
		},
		"a system stream, by the settings": {
			"$order-", "",
			map[string]string{"nobody": "", "alice": "", "ops": "read metadata", "admin": all},
		},
		"a system stream that was opened": {
			"$order-", `{"$acl":{"$r":"$all","$mr":"alice"}}`,
			map[string]string{"nobody": "", "alice": "read, subscribe, read metadata", "ops": "read, subscribe", "admin": all},
		},
	} {
		t.Run(name, func(t *testing.T) {
			for user, allowed := range test.may {
				for operation, do := range operations() {
					stream := test.prefix + uuid.NewString()
					putAs(t, client, as("admin"), stream, `{}`)
					if test.metadata != "" {
						putAs(t, client, as("admin"), "$$"+stream, test.metadata)
					}
					want := "denied"
					// The names of the operations with metadata contain those of the others.
					if strings.Contains(", "+allowed+",", ", "+operation+",") {
						want = "ok"
					}
					if got := verdict(do(withPatience(t), client, stream, as(user))); got != want {
						t.Errorf("%s, %s: %s, want %s", user, operation, got, want)
					}
				}
			}
		})
	}
}

func TestWrongCredentialsAreRefusedWhateverTheyAskFor(t *testing.T) {
	store := secureStore(t)
	putUser(t, store, "gone", true, "$admins")
	put(t, store, "order-1", `{}`)
	put(t, store, "$$order-1", `{"$acl":{"$r":"$all"}}`)
	client := store.ClientFor(t, "", "")
	for name, credentials := range map[string]*esdb.Credentials{
		"a wrong password":        {Login: "alice", Password: "pw"},
		"no password":             {Login: "alice"},
		"a disabled user":         as("gone"),
		"a user nobody has":       {Login: "bob", Password: "changeit"},
		"another user's password": {Login: "ops", Password: "pw-alice"},
	} {
		for operation, do := range operations() {
			if got := verdict(do(withPatience(t), client, "order-1", credentials)); got != "unauthenticated" {
				t.Errorf("%s, %s: %s", name, operation, got)
			}
		}
	}
	if events := store.Events(t, "order-1"); len(events) != 1 {
		t.Errorf("the stream has %d events", len(events))
	}
}

func TestDenialHasItsNameInTheTrailer(t *testing.T) {
	store := secureStore(t)
	client := streams.NewStreamsClient(dialSecure(t, store))
	anyRevision := &streams.DeleteReq_Options_Any{Any: &shared.Empty{}}
	for _, user := range []string{"nobody", "alice"} {
		for name, call := range map[string]func(*metadata.MD) error{
			"append": func(trailer *metadata.MD) error {
				ctx := withPatience(t)
				if user != "nobody" {
					ctx = basicAuth(ctx, user, "pw-"+user)
				}
				_, err := sendAppend(ctx, client, trailer, rawAppendAny("$s"), proposedMessage(rawEvent(uuid.New(), "x")))
				return err
			},
			"delete": func(trailer *metadata.MD) error {
				_, err := client.Delete(withPatience(t), &streams.DeleteReq{Options: &streams.DeleteReq_Options{
					StreamIdentifier: rawStream("$s"), ExpectedStreamRevision: anyRevision,
				}}, grpc.Trailer(trailer))
				return err
			},
			"tombstone": func(trailer *metadata.MD) error {
				_, err := client.Tombstone(withPatience(t), &streams.TombstoneReq{Options: &streams.TombstoneReq_Options{
					StreamIdentifier: rawStream("$s"), ExpectedStreamRevision: &streams.TombstoneReq_Options_Any{Any: &shared.Empty{}},
				}}, grpc.Trailer(trailer))
				return err
			},
			"read": func(trailer *metadata.MD) error {
				read, err := client.Read(withPatience(t), &streams.ReadReq{Options: &streams.ReadReq_Options{
					StreamOption: &streams.ReadReq_Options_All{All: &streams.ReadReq_Options_AllOptions{
						AllOption: &streams.ReadReq_Options_AllOptions_Start{Start: &shared.Empty{}},
					}},
					CountOption:  &streams.ReadReq_Options_Count{Count: 1},
					FilterOption: &streams.ReadReq_Options_NoFilter{NoFilter: &shared.Empty{}},
					UuidOption:   &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_String_{String_: &shared.Empty{}}},
				}})
				if err != nil {
					return err
				}
				_, err = read.Recv()
				*trailer = read.Trailer()
				return err
			},
		} {
			var trailer metadata.MD
			err := call(&trailer)
			if status.Code(err) != codes.PermissionDenied || status.Convert(err).Message() != "Access Denied" {
				t.Errorf("%s, %s: %v", user, name, err)
			}
			if diff := cmp.Diff([]string{"access-denied"}, trailer.Get("exception")); diff != "" {
				t.Errorf("%s, %s: exception (-want +got):\n%s", user, name, diff)
			}
		}
	}
}

// A client is still sending when the server knows that it will refuse: see TestRefusedAppendReachesTheClientAsItsReason.
func TestRefusedCallerOfALargeAppendIsToldWhy(t *testing.T) {
	store := secureStore(t)
	client := store.ClientFor(t, "", "")
	events := make([]esdb.EventData, 50)
	for i := range events {
		events[i] = esdb.EventData{EventType: "x", Data: make([]byte, 10_000)}
	}
	for want, credentials := range map[string]*esdb.Credentials{"denied": nil, "unauthenticated": {Login: "alice", Password: "x"}} {
		for range 10 {
			_, err := client.AppendToStream(withPatience(t), "s", esdb.AppendToStreamOptions{Authenticated: credentials}, events...)
			if got := verdict(err); got != want {
				t.Fatalf("%s, want %s", got, want)
			}
		}
	}
}

func TestReadingEverythingIsARightOfItsOwn(t *testing.T) {
	store := secureStore(t)
	client := store.ClientFor(t, "", "")
	try := func() string {
		var got []string
		for _, user := range []string{"nobody", "alice", "ops", "admin"} {
			read, err := client.ReadAll(withPatience(t), esdb.ReadAllOptions{Authenticated: as(user)}, 1)
			if err == nil {
				_, err = receiveAll(read)
			}
			subscription, errSubscribed := client.SubscribeToAll(withPatience(t), esdb.SubscribeToAllOptions{
				From: esdb.Start{}, Authenticated: as(user), Filter: esdb.ExcludeSystemEventsFilter(),
			})
			got = append(got, fmt.Sprintf("%s %s/%s", user, verdict(err), verdict(subscribed(subscription, errSubscribed))))
		}
		return strings.Join(got, ", ")
	}
	if diff := cmp.Diff("nobody denied/denied, alice denied/denied, ops denied/denied, admin ok/ok", try()); diff != "" {
		t.Errorf("by default (-want +got):\n%s", diff)
	}
	put(t, store, "$$$all", `{"$acl":{"$r":"sales"}}`)
	if diff := cmp.Diff("nobody denied/denied, alice ok/ok, ops denied/denied, admin ok/ok", try()); diff != "" {
		t.Errorf("with a list (-want +got):\n%s", diff)
	}
}

func TestDefaultListsCountFromTheNextCallOn(t *testing.T) {
	store := secureStore(t)
	client := store.ClientFor(t, "", "")
	try := func(want string) {
		t.Helper()
		_, err := client.AppendToStream(withPatience(t), "s", esdb.AppendToStreamOptions{Authenticated: as("alice")}, event("a"))
		if got := verdict(err); got != want {
			t.Errorf("%s, want %s", got, want)
		}
	}
	try("ok")
	put(t, store, "$settings", `{"$userStreamAcl":{"$w":"ops"}}`)
	try("denied")
	put(t, store, "$settings", `{"$userStreamAcl":{"$w":["ops","alice"]}}`)
	try("ok")
	put(t, store, "$settings", `{"$userStreamAcl":{"$w":"ops"}}`)
	try("denied")
	if _, err := store.Client(t).DeleteStream(withPatience(t), "$settings", esdb.DeleteStreamOptions{}); err != nil {
		t.Fatal(err)
	}
	try("ok")
}

func TestAnonymousCallersAreLetInWhereTheOperatorSaysSo(t *testing.T) {
	store := secureStore(t, esdbservertest.Configure(func(c *esdbserver.Config) { c.AllowAnonymousStreamAccess = true }))
	client := store.ClientFor(t, "", "")
	put(t, store, "ours", `{}`)
	put(t, store, "$$ours", `{"$acl":{"$r":"sales"}}`)
	put(t, store, "$system", `{}`)
	for stream, want := range map[string]string{"open": "ok", "ours": "denied", "$system": "denied"} {
		put(t, store, stream, `{}`)
		if got := verdict(operations()["read"](withPatience(t), client, stream, nil)); got != want {
			t.Errorf("%s: %s, want %s", stream, got, want)
		}
	}
}

func TestLinkGivesNoRightToWhatItPointsTo(t *testing.T) {
	store := secureStore(t)
	client := store.ClientFor(t, "", "")
	put(t, store, "open", `{"is":"open"}`)
	put(t, store, "secret", `{"is":"secret"}`)
	put(t, store, "$$secret", `{"$acl":{"$r":"ops"}}`)
	for _, target := range []string{"0@open", "0@secret", "0@$user-admin", "0@$$secret", "0@$$$all"} {
		link := esdb.EventData{EventType: "$>", Data: []byte(target)}
		if _, err := client.AppendToStream(withPatience(t), "links", esdb.AppendToStreamOptions{Authenticated: as("alice")}, link); err != nil {
			t.Fatal(err)
		}
	}
	for user, want := range map[string][]string{
		"alice": {"0@open open", "0@secret nothing", "0@$user-admin nothing", "0@$$secret $$secret", "0@$$$all nothing"},
		"ops":   {"0@open open", "0@secret secret", "0@$user-admin nothing", "0@$$secret $$secret", "0@$$$all nothing"},
		"admin": {"0@open open", "0@secret secret", "0@$user-admin $user-admin", "0@$$secret $$secret", "0@$$$all nothing"},
	} {
		read, err := client.ReadStream(withPatience(t), "links", esdb.ReadStreamOptions{ResolveLinkTos: true, Authenticated: as(user)}, 10)
		if err != nil {
			t.Fatal(err)
		}
		events, err := receiveAll(read)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, e := range events {
			found := "nothing"
			if e.Event != nil {
				found = e.Event.StreamID
			}
			got = append(got, string(e.Link.Data)+" "+found)
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", user, diff)
		}
	}
}
