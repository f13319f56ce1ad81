package esdbserver_test

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/gossip"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"orderflow/pkg/esdbserver"
	"orderflow/pkg/esdbserver/esdbservertest"
)

func TestHTTPSharesThePortWithGRPCOverTLS(t *testing.T) {
	store := secureStore(t)
	for _, client := range []struct {
		name      string
		transport *http.Transport
	}{
		{"a client of HTTP/1.1", &http.Transport{TLSClientConfig: store.TLS()}},
		{"a client that would like HTTP/2", &http.Transport{TLSClientConfig: store.TLS(), ForceAttemptHTTP2: true}},
	} {
		t.Cleanup(client.transport.CloseIdleConnections)
		for _, test := range []struct {
			path, user, password string
			status               int
			contains             string
		}{
			{"/health/live", "", "", http.StatusNoContent, ""},
			{"/info", "", "", http.StatusOK, `"type":"internal"`},
			{"/gossip", "", "", http.StatusOK, `"state":"Leader"`},
			{"/info", "admin", "changeit", http.StatusOK, `"state":"leader"`},
			{"/info", "admin", "wrong", http.StatusUnauthorized, "Unauthenticated"},
			{"/health/live", "nobody", "changeit", http.StatusUnauthorized, "Unauthenticated"},
		} {
			t.Run(fmt.Sprintf("%s, %s as %q with %q", client.name, test.path, test.user, test.password), func(t *testing.T) {
				request, err := http.NewRequestWithContext(withPatience(t), http.MethodGet, "https://"+store.Addr()+test.path, nil)
				if err != nil {
					t.Fatal(err)
				}
				if test.user != "" {
					request.SetBasicAuth(test.user, test.password)
				}
				response, err := (&http.Client{Transport: client.transport}).Do(request)
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
				if asked := strings.HasPrefix(response.Header.Get("WWW-Authenticate"), "Basic realm="); asked != (test.status == http.StatusUnauthorized) {
					t.Errorf("WWW-Authenticate: %q", response.Header.Get("WWW-Authenticate"))
				}
			})
		}
	}
}

func TestClientFindsASecureServerWithoutCredentials(t *testing.T) {
	store := secureStore(t)
	connection := dialSecure(t, store)
	if _, err := serverfeatures.NewServerFeaturesClient(connection).GetSupportedMethods(withPatience(t), empty); err != nil {
		t.Errorf("features: %v", err)
	}
	if _, err := gossip.NewGossipClient(connection).Read(withPatience(t), empty); err != nil {
		t.Errorf("gossip: %v", err)
	}
	discover := strings.Replace(store.ConnectionString(), "esdb://", "esdb+discover://", 1)
	if _, err := connect(t, discover).AppendToStream(withPatience(t), "s", esdb.AppendToStreamOptions{}, event("a")); err != nil {
		t.Errorf("append after discovery: %v", err)
	}
}

func TestRubbishInsteadOfCredentialsIsRefused(t *testing.T) {
	store := secureStore(t)
	client := serverfeatures.NewServerFeaturesClient(dialSecure(t, store))
	for name, values := range map[string][]string{
		"nothing":              {""},
		"a scheme without":     {"Basic"},
		"another scheme":       {"Bearer YWRtaW46Y2hhbmdlaXQ="},
		"no base 64":           {"Basic admin:changeit"},
		"no colon":             {"Basic YWRtaW4="},
		"only a colon":         {"Basic Og=="},
		"no name":              {"Basic OmNoYW5nZWl0"},
		"zeros":                {"Basic AAAA"},
		"right ones and wrong": {"Basic YWRtaW46Y2hhbmdlaXQ=", "Basic YWRtaW46d3Jvbmc="},
	} {
		ctx := metadata.NewOutgoingContext(withPatience(t), metadata.MD{"authorization": values})
		if _, err := client.GetSupportedMethods(ctx, empty); status.Code(err) != codes.Unauthenticated || status.Convert(err).Message() != "Unauthenticated" {
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, value := range map[string]string{"as usual": "Basic YWRtaW46Y2hhbmdlaXQ=", "in small letters": "basic  YWRtaW46Y2hhbmdlaXQ="} {
		ctx := metadata.AppendToOutgoingContext(withPatience(t), "authorization", value)
		if _, err := client.GetSupportedMethods(ctx, empty); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
	batch, err := streams.NewStreamsClient(dialSecure(t, store)).BatchAppend(basicAuth(withPatience(t), "admin", "wrong"))
	if err != nil {
		t.Fatal(err)
	}
	if err := batch.Send(&streams.BatchAppendReq{}); err != nil {
		t.Errorf("a conversation breaks before the reason comes: %v", err)
	}
	if _, err := batch.Recv(); status.Code(err) != codes.Unauthenticated {
		t.Errorf("a conversation: %v", err)
	}
	err = dialSecure(t, store).Invoke(basicAuth(withPatience(t), "admin", "wrong"), "/event_store.client.users.Users/Create", &shared.Empty{}, &shared.Empty{})
	if status.Code(err) != codes.Unauthenticated {
		t.Errorf("a service that is not served: %v", err)
	}
}

func TestConfigurationChosenForEachClientSpeaksBothProtocols(t *testing.T) {
	store := secureStore(t, esdbservertest.Configure(func(c *esdbserver.Config) {
		given := c.TLS
		given.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) {
			return &tls.Config{Certificates: given.Certificates, MinVersion: tls.VersionTLS12}, nil
		}
	}))
	put(t, store, "s", `{}`)
	client := &http.Client{Transport: &http.Transport{TLSClientConfig: store.TLS()}}
	defer client.CloseIdleConnections()
	request, err := http.NewRequestWithContext(withPatience(t), http.MethodGet, "https://"+store.Addr()+"/info", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	response, err := client.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Errorf("over HTTP/1.1: %s", response.Status)
	}
}

// Nobody needs a password to send headers, and they are in memory before they are looked at.
func TestHeadersWithoutMeasureAreRefused(t *testing.T) {
	store := secureStore(t)
	ctx := basicAuth(withPatience(t), strings.Repeat("a", 1<<20), "changeit")
	_, err := serverfeatures.NewServerFeaturesClient(dialSecure(t, store)).GetSupportedMethods(ctx, &shared.Empty{})
	if err == nil || status.Code(err) == codes.Unauthenticated {
		t.Errorf("they are read: %v", err)
	}
}

func TestInsecureServerIgnoresCredentials(t *testing.T) {
	store := esdbservertest.New(t)
	client := serverfeatures.NewServerFeaturesClient(connectRaw(t, store))
	if _, err := client.GetSupportedMethods(basicAuth(withPatience(t), "admin", "wrong"), empty); err != nil {
		t.Error(err)
	}
	if _, err := store.Client(t).SetStreamMetadata(withPatience(t), "s", esdb.AppendToStreamOptions{}, esdb.StreamMetadata{}); err != nil {
		t.Fatal(err)
	}
	_, err := store.Client(t).AppendToStream(withPatience(t), "$$s", esdb.AppendToStreamOptions{},
		esdb.EventData{EventType: "$metadata", ContentType: esdb.ContentTypeJson, Data: []byte(`{"$acl":{"$r":[]}}`)})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := store.Client(t).AppendToStream(withPatience(t), "s", esdb.AppendToStreamOptions{}, event("a")); err != nil {
		t.Fatal(err)
	}
	if events := store.Events(t, "s"); len(events) != 1 {
		t.Errorf("read %d events", len(events))
	}
	if events := store.All(t); len(events) != 3 {
		t.Errorf("%d events: an insecure store has no users", len(events))
	}
}

func TestConnectionThatIsNotEncryptedIsRefusedWithoutHarm(t *testing.T) {
	store := secureStore(t)
	for name, first := range map[string]string{
		"HTTP in the clear":        "GET /info HTTP/1.1\r\nHost: x\r\n\r\n",
		"gRPC in the clear":        "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
		"rubbish":                  "rubbish\r\n\r\n",
		"a handshake cut short":    "\x16\x03\x01\x02\x00\x01",
		"a handshake that is none": "\x16\x03\x01\x00\x05hello and more",
		"nothing":                  "",
	} {
		t.Run(name, func(t *testing.T) {
			line, err := answerTo(t, store, first)
			switch {
			case strings.HasPrefix(line, "HTTP/1.0 400") == (name == "HTTP in the clear"):
			case name == "HTTP in the clear" && err != nil: // the connection can be reset before the answer is read
			default:
				t.Errorf("answered %q", line)
			}
			if strings.Contains(line, "200") {
				t.Errorf("served in the clear: %q", line)
			}
		})
	}
	config, err := esdb.ParseConnectionString("esdb://" + store.Addr() + "?tls=false&maxDiscoverAttempts=1")
	if err != nil {
		t.Fatal(err)
	}
	config.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := client.AppendToStream(withPatience(t), "s", esdb.AppendToStreamOptions{}, event("a")); err == nil {
		t.Error("the official client was served in the clear")
	}
	if _, err := store.Client(t).AppendToStream(withPatience(t), "s", esdb.AppendToStreamOptions{}, event("a")); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestHandshakeThatNeverEndsDoesNotKeepTheServerFromStopping(t *testing.T) {
	store := secureStore(t)
	for _, first := range []string{"", "\x16\x03\x01\x02\x00"} {
		c, err := net.Dial("tcp", store.Addr())
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		if _, err := io.WriteString(c, first); err != nil {
			t.Fatal(err)
		}
	}
	silent, err := (&tls.Dialer{Config: store.TLS()}).DialContext(withPatience(t), "tcp", store.Addr())
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	store.Stop()
	if _, err := silent.Read(make([]byte, 1)); err == nil {
		t.Error("the connection is still open")
	}
}

func TestRestartKeepsTheUsersAndTheirPasswords(t *testing.T) {
	store := secureStore(t, inDir(t), esdbservertest.Configure(func(c *esdbserver.Config) { c.AdminPassword, c.OpsPassword = "a: b@c/%", "" }))
	try := func() {
		t.Helper()
		for name, credentials := range map[string]*esdb.Credentials{
			"admin": {Login: "admin", Password: "a: b@c/%"}, "ops": as("ops"), "alice": as("alice"),
		} {
			client := store.ClientFor(t, credentials.Login, credentials.Password)
			if _, err := client.AppendToStream(withPatience(t), "s", esdb.AppendToStreamOptions{}, event("a")); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			_, err := client.AppendToStream(withPatience(t), "s", esdb.AppendToStreamOptions{Authenticated: &esdb.Credentials{Login: name, Password: "wrong"}}, event("a"))
			if got := verdict(err); got != "unauthenticated" {
				t.Errorf("%s with a wrong password: %s", name, got)
			}
		}
	}
	try()
	store.Stop()
	store.Start()
	try()
}

func TestSettingsThatOnlyLookSecureAreRefused(t *testing.T) {
	some := &tls.Config{GetCertificate: func(*tls.ClientHelloInfo) (*tls.Certificate, error) { return nil, io.EOF }}
	for _, test := range []struct {
		name   string
		config esdbserver.Config
		says   string
	}{
		{"a password without TLS", esdbserver.Config{AdminPassword: "x"}, "without TLS"},
		{"another password without TLS", esdbserver.Config{OpsPassword: "x"}, "without TLS"},
		{"anonymous access without TLS", esdbserver.Config{AllowAnonymousStreamAccess: true}, "without TLS"},
		{"TLS without a certificate", esdbserver.Config{TLS: &tls.Config{}}, "no certificate"},
		{"passwords that cost years", esdbserver.Config{TLS: some, PasswordIterations: 1 << 40}, "cannot cost"},
		{"passwords that cost less than nothing", esdbserver.Config{TLS: some, PasswordIterations: -1}, "cannot cost"},
		{"a reset to nothing", esdbserver.Config{TLS: some, ResetPasswords: true}, "no password to reset to"},
	} {
		t.Run(test.name, func(t *testing.T) {
			server, err := esdbserver.Open(test.config)
			if err == nil {
				server.Close()
			}
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%v does not say %q", err, test.says)
			}
		})
	}
}

func TestManyCallersLogInWhileUsersChange(t *testing.T) {
	store := secureStore(t)
	client := store.ClientFor(t, "", "")
	const callers = 16
	done := make(chan error, callers)
	for i := range callers {
		go func() {
			user := []string{"admin", "alice", "ops"}[i%3]
			var failed error
			for range 20 {
				ctx, cancel := context.WithTimeout(context.Background(), patience)
				_, err := client.AppendToStream(ctx, "s", esdb.AppendToStreamOptions{Authenticated: as(user)}, esdb.EventData{EventType: "x"})
				cancel()
				if err != nil {
					failed = err
				}
			}
			done <- failed
		}()
	}
	for range 3 {
		putUser(t, store, "alice", false, "sales")
		put(t, store, "$settings", `{"$userStreamAcl":{"$w":"$all"}}`)
	}
	for range callers {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if events := store.Events(t, "s"); len(events) != callers*20 {
		t.Errorf("%d events", len(events))
	}
}
