package esdbserver_test

import (
	"context"
	"errors"
	"io"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"orderflow/pkg/esdbserver/esdbservertest"
)

// patience ends a test that waits for something that does not come.
const patience = 30 * time.Second

func inDir(t testing.TB) esdbservertest.Option {
	t.Helper()
	return esdbservertest.InDir(t.TempDir())
}

// withPatience is a context for calls that should end by themselves.
func withPatience(t testing.TB) context.Context {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	t.Cleanup(cancel)
	return ctx
}

// receiveAll reads to the end.
func receiveAll(read *esdb.ReadStream) ([]*esdb.ResolvedEvent, error) {
	defer read.Close()
	var events []*esdb.ResolvedEvent
	for {
		event, err := read.Recv()
		if errors.Is(err, io.EOF) {
			return events, nil
		}
		if err != nil {
			return events, err
		}
		events = append(events, event)
	}
}

// dial connects a client without the official client's wrapping, to send what that never would.
func dial(t testing.TB, store *esdbservertest.Server) streams.StreamsClient {
	t.Helper()
	return streams.NewStreamsClient(connectRaw(t, store))
}

func connectRaw(t testing.TB, store *esdbservertest.Server) *grpc.ClientConn {
	t.Helper()
	connection, err := grpc.NewClient(store.Addr(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatalf("connect: %v", err)
	}
	t.Cleanup(func() { connection.Close() })
	return connection
}
