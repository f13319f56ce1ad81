package esdbserver_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"go.uber.org/goleak"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"orderflow/pkg/esdbserver"
)

// A program may start and stop servers as it likes: whatever its clients are doing, a server that has stopped has nothing
// of it left.
func TestStoppedServerLeavesNothingBehind(t *testing.T) {
	for name, stop := range map[string]func(*esdbserver.Server) error{
		"at once": (*esdbserver.Server).Close,
		"with patience that ends": func(s *esdbserver.Server) error {
			ctx, cancel := context.WithTimeout(context.Background(), 50*time.Millisecond)
			defer cancel()
			return s.Shutdown(ctx)
		},
	} {
		t.Run(name, func(t *testing.T) {
			before := goleak.IgnoreCurrent()
			server, err := esdbserver.Open(esdbserver.Config{Dir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			served := make(chan error, 1)
			go func() { served <- server.Serve(listener) }()

			connection, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
			if err != nil {
				t.Fatal(err)
			}
			ends := keepBusy(t, connection, listener.Addr().String())
			if err := stop(server); err != nil {
				t.Errorf("stop: %v", err)
			}
			if err := <-served; !errors.Is(err, esdbserver.ErrServerClosed) {
				t.Errorf("serve: %v", err)
			}
			for what, end := range ends {
				if err := end(); err == nil {
					t.Errorf("%s did not end with an error", what)
				}
			}
			connection.Close()
			http.DefaultClient.CloseIdleConnections()
			goleak.VerifyNone(t, before)
		})
	}
}

// keepBusy begins everything that a server may be in the middle of. What it returns wait for the ends of these calls.
func keepBusy(t *testing.T, connection *grpc.ClientConn, addr string) map[string]func() error {
	t.Helper()
	ctx := withPatience(t)
	client, groups := streams.NewStreamsClient(connection), persistent.NewPersistentSubscriptionsClient(connection)
	ends := map[string]func() error{}
	if _, err := appendRaw(ctx, client, "s", rawEvent(uuid.New(), "x")); err != nil {
		t.Fatal(err)
	}

	for name, options := range map[string]*streams.ReadReq_Options{"subscription to a stream": tenOfStream, "subscription to $all": tenOfAll} {
		call, err := client.Read(ctx, &streams.ReadReq{Options: changed(options, func(o *streams.ReadReq_Options) { o.CountOption = subscribing })})
		if err != nil {
			t.Fatal(err)
		}
		for _, expected := range []string{"confirmation", "event"} {
			if _, err := call.Recv(); err != nil {
				t.Fatalf("%s: no %s: %v", name, expected, err)
			}
		}
		ends[name] = func() (err error) {
			for err == nil {
				_, err = call.Recv()
			}
			return err
		}
	}

	for n := range 3 {
		half, err := client.Append(ctx)
		if err != nil {
			t.Fatal(err)
		}
		for _, message := range []*streams.AppendReq{rawAppendAny("half"), proposedMessage(rawEvent(uuid.New(), "x"))}[:min(n, 2)] {
			if err := half.Send(message); err != nil {
				t.Fatal(err)
			}
		}
		ends[fmt.Sprintf("append of which %d messages are sent", n)] = func() error { return half.RecvMsg(&streams.AppendResp{}) }
	}

	if err := beginGroup(ctx, groups); err != nil {
		t.Fatalf("create a group: %v", err)
	}
	group, err := groups.Read(ctx)
	if err != nil {
		t.Fatal(err)
	}
	err = group.Send(&persistent.ReadReq{Content: &persistent.ReadReq_Options_{Options: &persistent.ReadReq_Options{
		StreamOption: &persistent.ReadReq_Options_StreamIdentifier{StreamIdentifier: rawStream("s")}, GroupName: "g", BufferSize: 10,
		UuidOption: &persistent.ReadReq_Options_UUIDOption{Content: &persistent.ReadReq_Options_UUIDOption_String_{String_: &shared.Empty{}}},
	}}})
	if err != nil {
		t.Fatal(err)
	}
	ends["persistent subscription"] = func() (err error) {
		for err == nil {
			_, err = group.Recv()
		}
		return err
	}

	silent, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	ends["connection that says nothing"] = func() error {
		defer silent.Close()
		_, err := silent.Read(make([]byte, 1))
		return err
	}
	response, err := http.Get("http://" + addr + "/info") // its connection stays open
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return ends
}

// beginGroup makes the group g of stream s, from its start.
func beginGroup(ctx context.Context, groups persistent.PersistentSubscriptionsClient) error {
	_, err := groups.Create(ctx, &persistent.CreateReq{Options: &persistent.CreateReq_Options{
		StreamOption: &persistent.CreateReq_Options_Stream{Stream: &persistent.CreateReq_StreamOptions{
			StreamIdentifier: rawStream("s"), RevisionOption: &persistent.CreateReq_StreamOptions_Start{Start: &shared.Empty{}},
		}},
		GroupName: "g",
		Settings: &persistent.CreateReq_Settings{
			MaxRetryCount: 10, MinCheckpointCount: 10, MaxCheckpointCount: 1000, LiveBufferSize: 500, ReadBatchSize: 20, HistoryBufferSize: 500,
			ConsumerStrategy: "RoundRobin", MessageTimeout: &persistent.CreateReq_Settings_MessageTimeoutMs{MessageTimeoutMs: 30000},
			CheckpointAfter: &persistent.CreateReq_Settings_CheckpointAfterMs{CheckpointAfterMs: 2000},
		},
	}})
	return err
}
