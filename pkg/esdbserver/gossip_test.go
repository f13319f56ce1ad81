package esdbserver_test

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/google/uuid"
	"google.golang.org/grpc/metadata"

	"orderflow/pkg/esdbserver"
	"orderflow/pkg/esdbserver/esdbservertest"
)

func TestClientFindsTheServerHoweverItLooks(t *testing.T) {
	store := esdbservertest.New(t)
	_, port, err := net.SplitHostPort(store.Addr())
	if err != nil {
		t.Fatal(err)
	}
	for _, url := range []string{
		"esdb://" + store.Addr() + "?tls=false",
		"esdb+discover://" + store.Addr() + "?tls=false",
		"esdb+discover://localhost:" + port + "?tls=false",
		"esdb+discover://" + store.Addr() + "?tls=false&nodePreference=leader",
		"esdb+discover://" + store.Addr() + "?tls=false&nodePreference=follower",
		"esdb+discover://" + store.Addr() + "?tls=false&nodePreference=random",
		"esdb+discover://" + store.Addr() + "?tls=false&nodePreference=readonlyreplica",
		"esdb://" + store.Addr() + ",127.0.0.1:1?tls=false", // of two seeds one is not there
	} {
		t.Run(url, func(t *testing.T) { appendThrough(t, parsed(t, url)) })
	}
}

// The Go client takes no such address in a connection string, but it may be what a name leads to.
func TestClientFindsTheServerAtAnAddressOfVersion6(t *testing.T) {
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "[::1]:0")
	if err != nil {
		t.Skipf("this machine has no such address: %v", err)
	}
	server, err := esdbserver.Open(esdbserver.Config{})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	defer func() { <-served }()
	defer server.Close()
	config := parsed(t, "esdb+discover://localhost:1?tls=false")
	config.Address = listener.Addr().String()
	appendThrough(t, config)
}

func parsed(t *testing.T, url string) *esdb.Configuration {
	t.Helper()
	config, err := esdb.ParseConnectionString(url)
	if err != nil {
		t.Fatal(err)
	}
	config.Logger = esdb.NoopLogging()
	return config
}

// appendThrough connects and writes an event.
func appendThrough(t *testing.T, config *esdb.Configuration) {
	t.Helper()
	client, err := esdb.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.AppendToStream(withPatience(t), "s", esdb.AppendToStreamOptions{}, esdb.EventData{EventType: "x"}); err != nil {
		t.Errorf("%+v: %v", config, err)
	}
}

func TestGossipSaysTheSameInBothForms(t *testing.T) {
	store := esdbservertest.New(t)
	last := lastPosition(t, store)
	overGRPC, err := gossip.NewGossipClient(connectRaw(t, store)).Read(withPatience(t), empty)
	if err != nil || len(overGRPC.GetMembers()) != 1 {
		t.Fatal(overGRPC, err)
	}
	var overHTTP struct {
		Members []struct {
			InstanceID         uuid.UUID
			State              string
			IsAlive            bool
			HTTPEndPointIP     string
			HTTPEndPointPort   uint32
			LastCommitPosition uint64
			WriterCheckpoint   uint64
			ChaserCheckpoint   uint64
			ESVersion          string
			IsReadOnlyReplica  *bool
		}
		ServerIP   string
		ServerPort uint32
	}
	response, err := http.Get("http://" + store.Addr() + "/gossip")
	if err != nil {
		t.Fatal(err)
	}
	defer http.DefaultClient.CloseIdleConnections()
	defer response.Body.Close()
	if err := json.NewDecoder(response.Body).Decode(&overHTTP); err != nil || len(overHTTP.Members) != 1 {
		t.Fatal(overHTTP, err)
	}
	text, binary := overHTTP.Members[0], overGRPC.GetMembers()[0]
	if text.State != "Leader" || binary.GetState() != gossip.MemberInfo_Leader || !text.IsAlive || !binary.GetIsAlive() || text.IsReadOnlyReplica == nil || *text.IsReadOnlyReplica {
		t.Errorf("it is no leader: %+v, %v", text, binary)
	}
	if at := binary.GetHttpEndPoint(); text.HTTPEndPointIP != at.GetAddress() || text.HTTPEndPointPort != at.GetPort() ||
		overHTTP.ServerIP != at.GetAddress() || overHTTP.ServerPort != at.GetPort() {
		t.Errorf("addresses differ: %+v, %v", overHTTP, at)
	}
	id := binary.GetInstanceId().GetStructured()
	var halves uuid.UUID
	for i := range 8 {
		halves[i] = byte(uint64(id.GetMostSignificantBits()) >> (56 - 8*i))
		halves[8+i] = byte(uint64(id.GetLeastSignificantBits()) >> (56 - 8*i))
	}
	if text.InstanceID != halves || halves == uuid.Nil {
		t.Errorf("instance %v, and %v", text.InstanceID, halves)
	}
	if text.LastCommitPosition != last || text.WriterCheckpoint != last || text.ChaserCheckpoint != last || text.ESVersion != esdbserver.Version {
		t.Errorf("the log is at %d: %+v", last, text)
	}
}

// lastPosition writes an event and returns its position.
func lastPosition(t *testing.T, store *esdbservertest.Server) uint64 {
	t.Helper()
	store.Append(t, "s", event("a"))
	return store.Events(t, "s")[0].Position.Commit
}

func TestHeadersOfClientsAreUnderstood(t *testing.T) {
	var log lockedBuffer
	store := esdbservertest.New(t, esdbservertest.Configure(func(c *esdbserver.Config) {
		c.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	}))
	client := dial(t, store)
	for _, leader := range []string{"true", "false"} {
		ctx := metadata.AppendToOutgoingContext(withPatience(t), "requires-leader", leader, "connection-name", "billing-"+leader, "authorization", "Basic YWRtaW46c2VjcmV0")
		if _, err := appendRaw(ctx, client, "s", rawEvent(uuid.New(), "x")); err != nil {
			t.Errorf("requires-leader %s: %v", leader, err)
		}
	}
	for _, want := range []string{"billing-true", "billing-false", "/event_store.client.streams.Streams/Append", "127.0.0.1"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log does not say %q:\n%s", want, log.String())
		}
	}
	if strings.Contains(log.String(), "YWRtaW46c2VjcmV0") {
		t.Error("the log tells a password")
	}
}

// lockedBuffer may be written to while it is read.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
