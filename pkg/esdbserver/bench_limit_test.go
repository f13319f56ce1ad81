package esdbserver_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"

	"orderflow/pkg/esdbserver"
)

// readyService is the limit that transport and client set: it answers every append without storing anything, and every
// read with one message that was made beforehand, as often as was asked for.
type readyService struct {
	streams.UnimplementedStreamsServer
	serverfeatures.UnimplementedServerFeaturesServer
}

func (*readyService) Append(stream streams.Streams_AppendServer) error {
	for {
		if _, err := stream.Recv(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return err
		}
	}
	return stream.SendAndClose(&streams.AppendResp{Result: &streams.AppendResp_Success_{Success: &streams.AppendResp_Success{
		CurrentRevisionOption: &streams.AppendResp_Success_CurrentRevision{},
		PositionOption:        &streams.AppendResp_Success_Position{Position: &streams.AppendResp_Position{}},
	}}})
}

func (*readyService) Read(req *streams.ReadReq, stream streams.Streams_ReadServer) error {
	event := &streams.ReadResp{Content: &streams.ReadResp_Event{Event: &streams.ReadResp_ReadEvent{
		Event: &streams.ReadResp_ReadEvent_RecordedEvent{
			Id: &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{
				MostSignificantBits: 1 << 60, LeastSignificantBits: 1 << 60,
			}}},
			StreamIdentifier: rawStream("order-1"),
			StreamRevision:   1000, PreparePosition: 1 << 20, CommitPosition: 1 << 20,
			Metadata:       map[string]string{"type": "order-placed", "content-type": "application/json", "created": "17000000000000000"},
			CustomMetadata: benchEvent().Metadata, Data: benchEvent().Data,
		},
		Position: &streams.ReadResp_ReadEvent_CommitPosition{CommitPosition: 1 << 20},
	}}}
	message := &grpc.PreparedMsg{}
	if err := message.Encode(stream, event); err != nil {
		return err
	}
	for range req.GetOptions().GetCount() {
		if err := stream.SendMsg(message); err != nil {
			return err
		}
	}
	return nil
}

func (*readyService) GetSupportedMethods(context.Context, *shared.Empty) (*serverfeatures.SupportedMethods, error) {
	return &serverfeatures.SupportedMethods{EventStoreServerVersion: "24.10.4"}, nil
}

// serveReady serves a readyService until the benchmark ends and returns the connection string.
func serveReady(b *testing.B) string {
	b.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server, service := grpc.NewServer(), &readyService{}
	streams.RegisterStreamsServer(server, service)
	serverfeatures.RegisterServerFeaturesServer(server, service)
	go server.Serve(listener) // until Stop
	b.Cleanup(server.Stop)
	return "esdb://" + listener.Addr().String() + "?tls=false"
}

// serve serves a store as a program does, without what the test kit puts in front of it, and connects to it.
func serve(b *testing.B, config esdbserver.Config) *esdb.Client {
	b.Helper()
	config.WriteTimeout = patience
	server, err := esdbserver.Open(config)
	if err != nil {
		b.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	go server.Serve(listener) // until Close
	b.Cleanup(func() { server.Close() })
	return connect(b, server.ConnectionString(listener.Addr()))
}

func connect(t testing.TB, connectionString string) *esdb.Client {
	t.Helper()
	config, err := esdb.ParseConnectionString(connectionString)
	if err != nil {
		t.Fatal(err)
	}
	config.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { client.Close() })
	return client
}
