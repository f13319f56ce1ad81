package esdbserver_test

import (
	"context"
	"errors"
	"net"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"orderflow/pkg/esdbserver"
)

// A subscriber that reads nothing fills what may be on its way to it, and then the end of its subscription does not reach
// it either. It must not keep the server, also from somebody who shuts down without a deadline.
func TestSubscriberThatDoesNotReadDoesNotKeepTheServer(t *testing.T) {
	server, err := esdbserver.Open(esdbserver.Config{})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	connection, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	client := streams.NewStreamsClient(connection)
	call, err := client.Read(withPatience(t), &streams.ReadReq{Options: allFromStart()})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := call.Recv(); err != nil { // it is subscribed
		t.Fatal(err)
	}
	large := rawEvent(uuid.New(), "x")
	large.Data = make([]byte, 900_000)
	for range 5 {
		if _, err := appendRaw(withPatience(t), client, "s", large); err != nil {
			t.Fatal(err)
		}
	}
	ended := make(chan error, 2)
	for range 2 { // whoever asks second waits for the same end
		go func() { ended <- server.Shutdown(context.Background()) }()
	}
	for range 2 {
		select {
		case err := <-ended:
			if err != nil {
				t.Error(err)
			}
		case <-withPatience(t).Done():
			t.Fatal("the server does not stop")
		}
	}
	if err := <-served; !errors.Is(err, esdbserver.ErrServerClosed) {
		t.Error(err)
	}
}
