package esdbserver_test

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	persistentpb "github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"orderflow/pkg/esdbserver/esdbservertest"
)

var unusualSettings = esdb.PersistentSubscriptionSettings{
	StartFrom: esdb.Revision(3), ResolveLinkTos: true, ExtraStatistics: true, MaxRetryCount: 1,
	CheckpointLowerBound: 2, CheckpointUpperBound: 3, MaxSubscriberCount: 4, LiveBufferSize: 5, ReadBatchSize: 6, HistoryBufferSize: 7,
	ConsumerStrategyName: esdb.ConsumerStrategyPinned, MessageTimeout: 8000, CheckpointAfter: 9000,
}

func TestInfoEchoesTheSettingsAlsoAfterARestart(t *testing.T) {
	s := newScript(t, inDir(t))
	err := s.client.CreatePersistentSubscription(withPatience(t), "s", "g", esdb.PersistentStreamSubscriptionOptions{
		StartFrom: esdb.Revision(3), Settings: &unusualSettings,
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, when := range []string{"at once", "after a restart"} {
		info, err := s.client.GetPersistentSubscriptionInfo(withPatience(t), "s", "g", esdb.GetPersistentSubscriptionOptions{})
		if err != nil {
			t.Fatal(err)
		}
		if info.EventSource != "s" || info.GroupName != "g" {
			t.Errorf("%s it is about %s and %s", when, info.EventSource, info.GroupName)
		}
		if diff := cmp.Diff(&unusualSettings, info.Settings); diff != "" {
			t.Errorf("settings %s (-want +got):\n%s", when, diff)
		}
		s.do("restart")
	}
}

func TestInfoMeasuresWhatHappens(t *testing.T) {
	s := newGroupScript(t)
	s.run("append any: a b c d e f", "create start statistics retries=0 max-checkpoint=1", "A connects 4", "A gets a b c d",
		"advance 2s", "A acks a", "A skips b", "A parks c", "A gets e f", "wait parked 1", "wait checkpoint 2", "wait done 3")
	s.info() // a measurement
	s.run("A acks d", "wait checkpoint 3")
	info := s.info()
	known, checkpointed := uint64(5), uint64(3)
	want := &esdb.PersistentSubscriptionStats{
		AveragePerSecond: 2, TotalItems: 4, LastKnownEventRevision: &known, LastCheckpointedEventRevision: &checkpointed,
		TotalInFlightMessages: 2, OutstandingMessagesCount: 2, ParkedMessagesCount: 1,
	}
	if diff := cmp.Diff(want, info.Stats, cmpopts.IgnoreFields(esdb.PersistentSubscriptionStats{}, "CountSinceLastMeasurement")); diff != "" {
		t.Errorf("group (-want +got):\n%s", diff)
	}
	if info.Status != "Live" || len(info.Connections) != 1 {
		t.Fatalf("status %s, connections %v", info.Status, info.Connections)
	}
	connection := info.Connections[0]
	if connection.From == "" || connection.AvailableSlots != 2 || connection.InFlightMessages != 2 || connection.TotalItemsProcessed != 2 {
		t.Errorf("connection %+v", connection)
	}
	latencies := map[string]int64{}
	for _, m := range connection.ExtraStatistics {
		latencies[m.Key] = m.Value
	}
	for _, key := range []string{"Mean", "Median", "Fastest", "Quintile 1", "Quintile 5", "90%", "99.9%", "Highest"} {
		if latencies[key] != 2000 {
			t.Errorf("latency %s is %d ms of %v", key, latencies[key], latencies)
		}
	}
}

func TestConnectionsAreNamed(t *testing.T) {
	s := newGroupScript(t)
	s.run("create start", "append any: a")
	ctx := metadata.AppendToOutgoingContext(withPatience(t), "connection-name", "packing-1")
	call, err := dialPersistent(t, s.store).Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	if err := call.Send(rawOptions("s", "g", 10)); err != nil {
		t.Fatal(err)
	}
	if _, err := call.Recv(); err != nil {
		t.Fatal(err)
	}
	if got := s.info().Connections; len(got) != 1 || got[0].ConnectionName != "packing-1" {
		t.Errorf("connections %+v", got)
	}
	answer, err := call.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if err := call.Send(&persistentpb.ReadReq{Content: &persistentpb.ReadReq_Nack_{Nack: &persistentpb.ReadReq_Nack{
		Ids: []*shared.UUID{answer.GetEvent().GetEvent().GetId()}, Action: persistentpb.ReadReq_Nack_Park, Reason: "broken",
	}}}); err != nil {
		t.Fatal(err)
	}
	s.run("wait links 1")
	want := `{"added":"2026-03-01T12:00:00Z","reason":"broken","subscriptionEventNumber":0,"by":"packing-1"}`
	if diff := cmp.Diff(want, string(s.store.Events(t, s.parkedStream())[0].UserMetadata)); diff != "" {
		t.Errorf("metadata of the link (-want +got):\n%s", diff)
	}
}

func TestParkedLinksSayWhyAndWhen(t *testing.T) {
	s := newGroupScript(t)
	s.run("append any: a b", "create start retries=0", "A connects 2", "A gets a b", "A parks a", "wait links 1", "A retries b", "wait links 2")
	links := s.store.Events(t, s.parkedStream())
	for i, want := range []string{
		`{"added":"2026-03-01T12:00:00Z","reason":"not now","subscriptionEventNumber":0}`,
		`{"added":"2026-03-01T12:00:00Z","reason":"Reached retry count of 0","subscriptionEventNumber":1}`,
	} {
		if diff := cmp.Diff(want, string(links[i].UserMetadata)); diff != "" {
			t.Errorf("link %d (-want +got):\n%s", i, diff)
		}
	}
	if links[0].EventType != "$>" || string(links[0].Data) != "0@s" {
		t.Errorf("link %s %s", links[0].EventType, links[0].Data)
	}
}

func TestGroupsAreListed(t *testing.T) {
	t.Run("over gRPC", func(t *testing.T) {
		store := esdbservertest.New(t)
		managesGroups(t, store, store.Client(t))
	})
	t.Run("over HTTP", func(t *testing.T) {
		store := esdbservertest.New(t)
		managesGroups(t, store, clientWithoutManagement(t, store))
	})
}

// managesGroups is what the client does for management, in either of the two ways that it knows.
func managesGroups(t *testing.T, store *esdbservertest.Server, client *esdb.Client) {
	ctx := withPatience(t)
	s := &groupScript{script: &script{t: t, store: store, client: client}, source: "s/1", consumers: map[string]*consumer{}}
	store.SetClock(scriptEpoch)
	if _, err := client.ListPersistentSubscriptionsForStream(ctx, "s/1", esdb.ListPersistentSubscriptionsOptions{}); !isNotFound(err) {
		t.Errorf("groups of a stream that has none: %v", err)
	}
	if infos, err := client.ListAllPersistentSubscriptions(ctx, esdb.ListPersistentSubscriptionsOptions{}); err != nil || len(infos) != 0 {
		t.Errorf("groups, none: %v, %v", infos, err)
	}
	s.run("append to s/1 any: a b", "create on=s/1 start statistics")
	if err := client.CreatePersistentSubscriptionToAll(ctx, "of all", esdb.PersistentAllSubscriptionOptions{}); err != nil {
		t.Fatal(err)
	}
	names := func(infos []esdb.PersistentSubscriptionInfo, err error) string {
		if err != nil {
			t.Error(err)
		}
		var all []string
		for _, info := range infos {
			all = append(all, info.EventSource+"/"+info.GroupName)
		}
		return strings.Join(all, " ")
	}
	for want, got := range map[string]string{
		"$all/of all s/1/g": names(client.ListAllPersistentSubscriptions(ctx, esdb.ListPersistentSubscriptionsOptions{})),
		"s/1/g":             names(client.ListPersistentSubscriptionsForStream(ctx, "s/1", esdb.ListPersistentSubscriptionsOptions{})),
		"$all/of all":       names(client.ListPersistentSubscriptionsToAll(ctx, esdb.ListPersistentSubscriptionsOptions{})),
	} {
		if got != want {
			t.Errorf("groups %q, want %q", got, want)
		}
	}
	all, err := client.GetPersistentSubscriptionInfoToAll(ctx, "of all", esdb.GetPersistentSubscriptionOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if _, isEnd := all.Settings.StartFrom.(esdb.End); !isEnd || all.Settings.ConsumerStrategyName != esdb.ConsumerStrategyRoundRobin || all.Settings.MessageTimeout != 30_000 {
		t.Errorf("settings %+v", all.Settings)
	}
	s.client = store.Client(t) // consuming has one way only
	s.run("A connects 5")
	s.client = client
	s.run("A gets a b", "A parks a", "wait parked 1", "wait in-flight 1")
	if got := s.info().Connections; len(got) != 1 || got[0].InFlightMessages != 1 || got[0].AvailableSlots != 4 {
		t.Errorf("connections %+v", got)
	}
	s.run("replay", "A gets $persistentsubscription-s/1::g-parked/0->a", "wait parked 0", "restart-subsystem", "A is dropped Canceled")
	if _, err := client.GetPersistentSubscriptionInfo(ctx, "s/1", "nobody", esdb.GetPersistentSubscriptionOptions{}); !isNotFound(err) {
		t.Errorf("info of a group that does not exist: %v", err)
	}
	if err := client.ReplayParkedMessages(ctx, "s/1", "nobody", esdb.ReplayParkedMessagesOptions{StopAt: 3}); !isNotFound(err) {
		t.Errorf("replay of a group that does not exist: %v", err)
	}
	for _, err := range []error{s.remove(), client.DeletePersistentSubscriptionToAll(ctx, "of all", esdb.DeletePersistentSubscriptionOptions{})} {
		if err != nil {
			t.Error(err)
		}
	}
}

func isNotFound(err error) bool {
	failure, ok := esdb.FromError(err)
	return !ok && failure.IsErrorCode(esdb.ErrorCodeResourceNotFound)
}

// clientWithoutManagement connects the official client through a proxy that hides from it that the management of
// persistent subscriptions is spoken in gRPC. The client then uses HTTP/1.1.
func clientWithoutManagement(t *testing.T, store *esdbservertest.Server) *esdb.Client {
	t.Helper()
	target := &url.URL{Scheme: "http", Host: store.Addr()}
	plain := httputil.NewSingleHostReverseProxy(target)
	plain.Transport = &http.Transport{}
	multiplexed := httputil.NewSingleHostReverseProxy(target)
	both := &http.Protocols{}
	both.SetUnencryptedHTTP2(true)
	http2 := &http.Transport{Protocols: both}
	multiplexed.Transport, multiplexed.FlushInterval = http2, -1
	features := grpc.NewServer()
	serverfeatures.RegisterServerFeaturesServer(features, fewFeatures{})

	proxy := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.ProtoMajor == 1:
			plain.ServeHTTP(w, r)
		case strings.Contains(r.URL.Path, "ServerFeatures"):
			features.ServeHTTP(w, r)
		default:
			multiplexed.ServeHTTP(w, r)
		}
	}))
	proxy.Config.Protocols = &http.Protocols{}
	proxy.Config.Protocols.SetHTTP1(true)
	proxy.Config.Protocols.SetUnencryptedHTTP2(true)
	proxy.Start()
	t.Cleanup(func() {
		http.DefaultTransport.(*http.Transport).CloseIdleConnections()
		plain.Transport.(*http.Transport).CloseIdleConnections()
		http2.CloseIdleConnections()
		proxy.CloseClientConnections()
		proxy.Close()
		features.Stop()
	})
	return connect(t, "esdb://"+proxy.Listener.Addr().String()+"?tls=false")
}

type fewFeatures struct {
	serverfeatures.UnimplementedServerFeaturesServer
}

// GetSupportedMethods answers as servers did before the management was spoken in gRPC.
func (fewFeatures) GetSupportedMethods(context.Context, *shared.Empty) (*serverfeatures.SupportedMethods, error) {
	return &serverfeatures.SupportedMethods{EventStoreServerVersion: "21.10.0", Methods: []*serverfeatures.SupportedMethod{{
		ServiceName: "event_store.client.persistent_subscriptions.persistentsubscriptions", MethodName: "create", Features: []string{"stream", "all"},
	}}}, nil
}

func TestHTTPManagementRefusesWhatMakesNoSense(t *testing.T) {
	s := newGroupScript(t)
	s.run("create start")
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	for _, test := range []struct {
		method, path string
		status       int
	}{
		{http.MethodGet, "/subscriptions", http.StatusOK},
		{http.MethodGet, "/subscriptions/s/g/info", http.StatusOK},
		{http.MethodGet, "/subscriptions/t", http.StatusNotFound},
		{http.MethodGet, "/subscriptions/s/h/info", http.StatusNotFound},
		{http.MethodPost, "/subscriptions/s/h/replayParked", http.StatusNotFound},
		{http.MethodPost, "/subscriptions/s/g/replayParked", http.StatusOK},
		{http.MethodPost, "/subscriptions/s/g/replayParked?stopAt=1", http.StatusOK},
		{http.MethodPost, "/subscriptions/s/g/replayParked?stopAt=soon", http.StatusBadRequest},
		{http.MethodPost, "/subscriptions/s/g/replayParked?stopAt=-1", http.StatusBadRequest},
		{http.MethodGet, "/subscriptions/s/g/replayParked", http.StatusMethodNotAllowed},
		{http.MethodPost, "/subscriptions/restart", http.StatusOK},
	} {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			request, err := http.NewRequestWithContext(withPatience(t), test.method, "http://"+s.store.Addr()+test.path, http.NoBody)
			if err != nil {
				t.Fatal(err)
			}
			response, err := client.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, _ := io.ReadAll(response.Body)
			if response.StatusCode != test.status {
				t.Errorf("%d %s, want %d", response.StatusCode, body, test.status)
			}
		})
	}
}
