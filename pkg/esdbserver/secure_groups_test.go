package esdbserver_test

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"orderflow/pkg/esdbserver/esdbservertest"
)

// groupOperations are the calls about persistent subscriptions. Each is done on the group g of a stream that has an event.
func groupOperations() map[string]func(ctx context.Context, client *esdb.Client, stream string, who *esdb.Credentials) error {
	return map[string]func(context.Context, *esdb.Client, string, *esdb.Credentials) error{
		"create": func(ctx context.Context, client *esdb.Client, stream string, who *esdb.Credentials) error {
			return client.CreatePersistentSubscription(ctx, stream, "another", esdb.PersistentStreamSubscriptionOptions{Authenticated: who})
		},
		"update": func(ctx context.Context, client *esdb.Client, stream string, who *esdb.Credentials) error {
			return client.UpdatePersistentSubscription(ctx, stream, "g", esdb.PersistentStreamSubscriptionOptions{Authenticated: who})
		},
		"delete": func(ctx context.Context, client *esdb.Client, stream string, who *esdb.Credentials) error {
			return client.DeletePersistentSubscription(ctx, stream, "g", esdb.DeletePersistentSubscriptionOptions{Authenticated: who})
		},
		"replay": func(ctx context.Context, client *esdb.Client, stream string, who *esdb.Credentials) error {
			return client.ReplayParkedMessages(ctx, stream, "g", esdb.ReplayParkedMessagesOptions{Authenticated: who})
		},
		"restart": func(ctx context.Context, client *esdb.Client, _ string, who *esdb.Credentials) error {
			return client.RestartPersistentSubscriptionSubsystem(ctx, esdb.RestartPersistentSubscriptionSubsystemOptions{Authenticated: who})
		},
		"inspect": func(ctx context.Context, client *esdb.Client, stream string, who *esdb.Credentials) error {
			_, err := client.GetPersistentSubscriptionInfo(ctx, stream, "g", esdb.GetPersistentSubscriptionOptions{Authenticated: who})
			return err
		},
		"list": func(ctx context.Context, client *esdb.Client, _ string, who *esdb.Credentials) error {
			_, err := client.ListAllPersistentSubscriptions(ctx, esdb.ListPersistentSubscriptionsOptions{Authenticated: who})
			return err
		},
		"consume": func(ctx context.Context, client *esdb.Client, stream string, who *esdb.Credentials) error {
			subscription, err := client.SubscribeToPersistentSubscription(ctx, stream, "g", esdb.SubscribeToPersistentSubscriptionOptions{Authenticated: who})
			if err != nil {
				return err
			}
			defer subscription.Close()
			if dropped := subscription.Recv().SubscriptionDropped; dropped != nil {
				return dropped.Error
			}
			return nil
		},
	}
}

func TestGroupsAreManagedByOperatorsAndConsumedByReaders(t *testing.T) {
	store := secureStore(t)
	client := store.ClientFor(t, "", "")
	const manage = "create delete replay restart update "
	want := map[string]string{
		"nobody": "", "alice": "consume inspect list ", "ops": "inspect list " + manage, "admin": "consume inspect list " + manage,
	}
	for user, allowed := range want {
		for operation, do := range groupOperations() {
			stream := "order-" + uuid.NewString()
			putAs(t, client, as("admin"), stream, `{}`)
			putAs(t, client, as("admin"), "$$"+stream, `{"$acl":{"$r":"sales"}}`)
			err := client.CreatePersistentSubscription(withPatience(t), stream, "g", esdb.PersistentStreamSubscriptionOptions{
				StartFrom: esdb.Start{}, Authenticated: as("admin"),
			})
			if err != nil {
				t.Fatal(err)
			}
			expected := "denied"
			if slices.Contains(strings.Fields(allowed), operation) {
				expected = "ok"
			}
			if got := verdict(do(withPatience(t), client, stream, as(user))); got != expected {
				t.Errorf("%s, %s: %s, want %s", user, operation, got, expected)
			}
		}
	}
}

func TestConsumerWhoLosesTheRightToReadIsCutOff(t *testing.T) {
	store := secureStore(t)
	client := store.ClientFor(t, "", "")
	err := client.CreatePersistentSubscription(withPatience(t), "order-1", "g", esdb.PersistentStreamSubscriptionOptions{Authenticated: as("ops")})
	if err != nil {
		t.Fatal(err)
	}
	subscription, err := client.SubscribeToPersistentSubscription(withPatience(t), "order-1", "g", esdb.SubscribeToPersistentSubscriptionOptions{Authenticated: as("alice")})
	if err != nil {
		t.Fatal(err)
	}
	defer subscription.Close()
	put(t, store, "$$order-1", `{"$acl":{"$r":"ops"}}`)
	if dropped := subscription.Recv().SubscriptionDropped; dropped == nil || verdict(dropped.Error) != "denied" {
		t.Errorf("the consumer got %v", dropped)
	}
}

func TestGroupGivesNoRightsToWhatItsLinksPointTo(t *testing.T) {
	store := secureStore(t)
	client := store.ClientFor(t, "", "")
	put(t, store, "secret", `{}`)
	put(t, store, "$$secret", `{"$acl":{"$r":"$admins"}}`)
	put(t, store, "open", `{}`)
	for _, target := range []string{"0@secret", "0@open"} {
		link := esdb.EventData{EventType: "$>", Data: []byte(target)}
		if _, err := client.AppendToStream(withPatience(t), "links", esdb.AppendToStreamOptions{Authenticated: as("alice")}, link); err != nil {
			t.Fatal(err)
		}
	}
	settings := esdb.SubscriptionSettingsDefault()
	settings.ResolveLinkTos = true
	err := client.CreatePersistentSubscription(withPatience(t), "links", "g", esdb.PersistentStreamSubscriptionOptions{
		StartFrom: esdb.Start{}, Settings: &settings, Authenticated: as("ops"),
	})
	if err != nil {
		t.Fatal(err)
	}
	for user, want := range map[string][]string{"alice": {"nothing", "open"}, "admin": {"secret", "open"}} {
		subscription, err := client.SubscribeToPersistentSubscription(withPatience(t), "links", "g", esdb.SubscribeToPersistentSubscriptionOptions{Authenticated: as(user)})
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for range want {
			message := subscription.Recv()
			if message.SubscriptionDropped != nil {
				t.Fatal(message.SubscriptionDropped.Error)
			}
			if event := message.EventAppeared.Event.Event; event != nil {
				got = append(got, event.StreamID)
			} else {
				got = append(got, "nothing")
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", user, diff)
		}
		subscription.Close()
	}
}

// Services read their categories with users of their own, and wait for them before there is anything.
func TestEverybodyMayReadACategoryButNotWhatIsHiddenInIt(t *testing.T) {
	store := secureStore(t, esdbservertest.Configure(withProjections))
	client := store.ClientFor(t, "alice", "pw-alice")
	subscription, err := client.SubscribeToStream(withPatience(t), "$ce-order", esdb.SubscribeToStreamOptions{From: esdb.Start{}, ResolveLinkTos: true})
	if err != nil {
		t.Fatal(err)
	}
	defer subscription.Close()
	put(t, store, "$$order-secret", `{"$acl":{"$r":"$admins"}}`)
	put(t, store, "order-secret", `{}`)
	put(t, store, "order-open", `{}`)
	var got []string
	for len(got) < 2 {
		message := subscription.Recv()
		if message.SubscriptionDropped != nil {
			t.Fatal(message.SubscriptionDropped.Error)
		}
		if e := message.EventAppeared; e != nil && e.Event != nil {
			got = append(got, e.Event.StreamID)
		} else if e != nil {
			got = append(got, "nothing")
		}
	}
	if diff := cmp.Diff([]string{"nothing", "order-open"}, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if _, err := client.AppendToStream(withPatience(t), "$ce-order", esdb.AppendToStreamOptions{}, event("forged")); verdict(err) != "denied" {
		t.Errorf("a link can be forged: %v", err)
	}
}

func TestManagementOverHTTPAsksWhoCalls(t *testing.T) {
	store := secureStore(t)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: store.TLS()}}
	defer client.CloseIdleConnections()
	for _, test := range []struct {
		method, path, user string
		want               int
	}{
		{http.MethodGet, "/subscriptions", "nobody", http.StatusUnauthorized},
		{http.MethodGet, "/subscriptions", "alice", http.StatusOK},
		{http.MethodPost, "/subscriptions/restart", "nobody", http.StatusUnauthorized},
		{http.MethodPost, "/subscriptions/restart", "alice", http.StatusUnauthorized},
		{http.MethodPost, "/subscriptions/restart", "ops", http.StatusOK},
	} {
		request, err := http.NewRequestWithContext(withPatience(t), test.method, "https://"+store.Addr()+test.path, http.NoBody)
		if err != nil {
			t.Fatal(err)
		}
		if who := as(test.user); who != nil {
			request.SetBasicAuth(who.Login, who.Password)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != test.want {
			t.Errorf("%s %s as %s: %d, want %d", test.method, test.path, test.user, response.StatusCode, test.want)
		}
	}
}

func TestBatchForAStreamThatMayNotBeWrittenIsRefusedAndTheCallGoesOn(t *testing.T) {
	store := secureStore(t)
	client := streams.NewStreamsClient(dialSecure(t, store))
	call, err := client.BatchAppend(basicAuth(withPatience(t), "alice", "pw-alice"))
	if err != nil {
		t.Fatal(err)
	}
	for i, test := range []struct{ stream, want string }{{"$secret", "AccessDenied"}, {"order-1", "revision 0"}} {
		if err := call.Send(whole(batchAny(test.stream), batchEvents(fmt.Sprint("e", i))...)); err != nil {
			t.Fatal(err)
		}
		answer, err := call.Recv()
		if err != nil {
			t.Fatal(err)
		}
		got := answer.GetError().GetMessage()
		if answer.GetSuccess() != nil {
			got = fmt.Sprintf("revision %d", answer.GetSuccess().GetCurrentRevision())
		}
		if got != test.want {
			t.Errorf("%s: %s, want %s", test.stream, got, test.want)
		}
	}
	if err := call.CloseSend(); err != nil {
		t.Fatal(err)
	}
}

// Whoever may read $all gets what is in it, whatever the lists of the streams say: also when it comes again.
func TestReplayedEventOfAllIsWhatItWasAtFirst(t *testing.T) {
	store := secureStore(t)
	put(t, store, "$$$all", `{"$acl":{"$r":"alice"}}`)
	client := store.ClientFor(t, "alice", "pw-alice")
	err := client.CreatePersistentSubscriptionToAll(withPatience(t), "g", esdb.PersistentAllSubscriptionOptions{
		StartFrom: esdb.Start{}, Filter: &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Prefixes: []string{"$secret"}}, Authenticated: as("ops"),
	})
	if err != nil {
		t.Fatal(err)
	}
	put(t, store, "$secret", `{"n":1}`)
	subscription, err := client.SubscribeToPersistentSubscriptionToAll(withPatience(t), "g", esdb.SubscribeToPersistentSubscriptionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer subscription.Close()
	expect := func(when string) *esdb.ResolvedEvent {
		t.Helper()
		message := subscription.Recv()
		if message.SubscriptionDropped != nil {
			t.Fatal(message.SubscriptionDropped.Error)
		}
		got := message.EventAppeared.Event
		if got.Event == nil || string(got.Event.Data) != `{"n":1}` {
			t.Fatalf("%s it is %v", when, got.Event)
		}
		return got
	}
	if err := subscription.Nack("not now", esdb.NackActionPark, expect("at first")); err != nil {
		t.Fatal(err)
	}
	admin := store.Client(t)
	for ctx := withPatience(t); ; { // parking is not answered
		read, err := admin.ReadStream(ctx, "$persistentsubscription-$all::g-parked", esdb.ReadStreamOptions{}, 1)
		if err != nil {
			t.Fatal(err)
		}
		parked, err := receiveAll(read)
		if err == nil && len(parked) == 1 {
			break
		}
		if ctx.Err() != nil {
			t.Fatal("the event is never parked")
		}
	}
	if err := client.ReplayParkedMessagesToAll(withPatience(t), "g", esdb.ReplayParkedMessagesOptions{Authenticated: as("ops")}); err != nil {
		t.Fatal(err)
	}
	expect("again")
}

// An append may begin long before its last event comes: the right to it is that of when it is written.
func TestAppendThatTakesItsTimeIsRefusedWhenTheRightIsLost(t *testing.T) {
	store := secureStore(t)
	client := streams.NewStreamsClient(dialSecure(t, store))
	slow, err := client.Append(basicAuth(withPatience(t), "alice", "pw-alice"))
	if err != nil {
		t.Fatal(err)
	}
	if err := slow.Send(rawAppendAny("s")); err != nil {
		t.Fatal(err)
	}
	call, err := client.BatchAppend(basicAuth(withPatience(t), "alice", "pw-alice"))
	if err != nil {
		t.Fatal(err)
	}
	send := func(message *streams.BatchAppendReq) {
		t.Helper()
		if err := call.Send(message); err != nil {
			t.Fatal(err)
		}
	}
	receive := func() *streams.BatchAppendResp {
		t.Helper()
		answer, err := call.Recv()
		if err != nil {
			t.Fatal(err)
		}
		return answer
	}
	begun := whole(batchAny("s"), batchEvents("a")...)
	begun.IsFinal = false
	send(begun)
	send(whole(batchAny("other"), batchEvents("b")...)) // its answer says that the server knows of the one before
	if answer := receive(); answer.GetSuccess() == nil {
		t.Fatal(answer)
	}
	put(t, store, "$$s", `{"$acl":{"$w":[]}}`)

	send(&streams.BatchAppendReq{CorrelationId: begun.GetCorrelationId(), IsFinal: true})
	if got := receive().GetError().GetMessage(); got != "AccessDenied" {
		t.Errorf("the batch: %q", got)
	}
	if err := call.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if err := slow.Send(proposedMessage(rawEvent(uuid.New(), "c"))); err != nil {
		t.Fatal(err)
	}
	if _, err := slow.CloseAndRecv(); status.Code(err) != codes.PermissionDenied {
		t.Errorf("the append: %v", err)
	}
}
