package esdbserver_test

import (
	"bufio"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"orderflow/pkg/esdbserver/esdbservertest"
)

func TestHTTPSharesThePortWithGRPC(t *testing.T) {
	store := esdbservertest.New(t)
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	for _, test := range []struct {
		method, path string
		status       int
		contains     string
	}{
		{http.MethodGet, "/health/live", http.StatusNoContent, ""},
		{http.MethodHead, "/health/live", http.StatusNoContent, ""},
		{http.MethodGet, "/health/live?liveCode=200", http.StatusOK, ""},
		{http.MethodGet, "/health/live?liveCode=1", http.StatusBadRequest, `"error":"liveCode`},
		{http.MethodPost, "/health/live", http.StatusMethodNotAllowed, `GET, HEAD only`},
		{http.MethodGet, "/info", http.StatusOK, `"state":"leader"`},
		{http.MethodGet, "/info", http.StatusOK, `"esVersion":"24.10.4"`},
		{http.MethodGet, "/gossip", http.StatusOK, `"state":"Leader"`},
		{http.MethodPut, "/nowhere", http.StatusNotFound, `nothing at /nowhere`},
		{http.MethodGet, "/stats", http.StatusNotFound, `nothing at /stats`},
		{http.MethodGet, "/streams/order-1", http.StatusNotFound, `over gRPC`},
	} {
		t.Run(test.method+" "+test.path, func(t *testing.T) {
			request, err := http.NewRequestWithContext(t.Context(), test.method, "http://"+store.Addr()+test.path, nil)
			if err != nil {
				t.Fatal(err)
			}
			response, err := client.Do(request)
			if err != nil {
				t.Fatal(err)
			}
			defer response.Body.Close()
			body, err := io.ReadAll(response.Body)
			if err != nil {
				t.Fatal(err)
			}
			if response.StatusCode != test.status || !strings.Contains(string(body), test.contains) {
				t.Errorf("%d %s, want %d with %q", response.StatusCode, body, test.status, test.contains)
			}
			if test.contains != "" && !json.Valid(body) {
				t.Errorf("no JSON: %s", body)
			}
		})
	}
}

// answerTo sends bytes over a connection of their own, nothing after them, and gives the first line of the answer. The
// error is that of reading it.
func answerTo(t *testing.T, store *esdbservertest.Server, first string) (string, error) {
	t.Helper()
	connection, err := net.Dial("tcp", store.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	if _, err := io.WriteString(connection, first); err != nil {
		t.Fatal(err)
	}
	if err := connection.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	return bufio.NewReader(connection).ReadString('\n')
}

func TestConnectionThatSpeaksNeitherProtocolIsAnsweredOrDropped(t *testing.T) {
	store := esdbservertest.New(t)
	for name, first := range map[string]string{"a preface cut short": "PR", "another method with the same letters": "PRX / HTTP/1.1\r\n\r\n", "a TLS handshake": "\x16\x03\x01\x02\x00"} {
		t.Run(name, func(t *testing.T) {
			line, err := answerTo(t, store, first)
			if err == nil && !strings.HasPrefix(line, "HTTP/1.1 400") {
				t.Errorf("answered %q", line)
			}
		})
	}
	if _, err := store.Client(t).AppendToStream(withPatience(t), "s", esdb.AppendToStreamOptions{}, event("a")); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestSilentConnectionDoesNotKeepTheServerFromStopping(t *testing.T) {
	store := esdbservertest.New(t)
	connection, err := net.Dial("tcp", store.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	store.Stop()
	if _, err := connection.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is still open")
	}
}

func TestGossipNamesTheServerAtTheAddressItWasReachedAt(t *testing.T) {
	store := esdbservertest.New(t)
	answer, err := gossip.NewGossipClient(connectRaw(t, store)).Read(withPatience(t), empty)
	if err != nil {
		t.Fatal(err)
	}
	if len(answer.GetMembers()) != 1 {
		t.Fatalf("members %v", answer.GetMembers())
	}
	member := answer.GetMembers()[0]
	host, port, _ := net.SplitHostPort(store.Addr())
	if member.GetState() != gossip.MemberInfo_Leader || !member.GetIsAlive() || member.GetTimeStamp() == 0 || member.GetInstanceId() == nil {
		t.Errorf("member %v", member)
	}
	if at := member.GetHttpEndPoint(); at.GetAddress() != host || strconv.Itoa(int(at.GetPort())) != port {
		t.Errorf("advertised %v, listens on %s", at, store.Addr())
	}
}

func TestFeaturesAreThoseThatClientsLookFor(t *testing.T) {
	answer, err := serverfeatures.NewServerFeaturesClient(connectRaw(t, esdbservertest.New(t))).GetSupportedMethods(withPatience(t), empty)
	if err != nil {
		t.Fatal(err)
	}
	parts := strings.Split(answer.GetEventStoreServerVersion(), ".")
	if len(parts) != 3 {
		t.Errorf("version %q has %d parts", answer.GetEventStoreServerVersion(), len(parts))
	}
	for _, part := range parts {
		if _, err := strconv.Atoi(part); err != nil {
			t.Errorf("version %q: %v", answer.GetEventStoreServerVersion(), err)
		}
	}
	features := map[string][]string{}
	for _, m := range answer.GetMethods() {
		if m.GetServiceName() != strings.ToLower(m.GetServiceName()) || m.GetMethodName() != strings.ToLower(m.GetMethodName()) {
			t.Errorf("%s/%s is not in lower case", m.GetServiceName(), m.GetMethodName())
		}
		features[m.GetServiceName()+"/"+m.GetMethodName()] = m.GetFeatures()
	}
	if diff := cmp.Diff([]string{"position", "events"}, features["event_store.client.streams.streams/read"]); diff != "" {
		t.Errorf("streams/read (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"deadline_duration"}, features["event_store.client.streams.streams/batchappend"]); diff != "" {
		t.Errorf("streams/batchappend (-want +got):\n%s", diff)
	}
	for _, method := range []string{"create", "update", "delete", "read", "getinfo", "replayparked", "list", "restartsubsystem"} {
		got := features["event_store.client.persistent_subscriptions.persistentsubscriptions/"+method]
		if diff := cmp.Diff([]string{"stream", "all"}, got); diff != "" {
			t.Errorf("persistent subscriptions/%s (-want +got):\n%s", method, diff)
		}
	}
}

func TestServicesThatAreNotServedSaySo(t *testing.T) {
	store := esdbservertest.New(t)
	connection := connectRaw(t, store)
	for method, advice := range map[string]string{
		"/event_store.client.projections.Projections/Create": "system projections",
		"/event_store.client.users.Users/Create":             "where the server is started",
		"/event_store.client.operations.Operations/Shutdown": "where it runs",
		"/event_store.client.monitoring.Monitoring/Stats":    "/health/live",
		"/somebody.Else/Entirely":                            "this server speaks event_store.client.gossip.Gossip, ",
	} {
		err := connection.Invoke(withPatience(t), method, &shared.Empty{}, &shared.Empty{})
		if status.Code(err) != codes.Unimplemented || !strings.Contains(err.Error(), method+" is not served: ") || !strings.Contains(err.Error(), advice) {
			t.Errorf("%s: %v", method, err)
		}
	}
}
