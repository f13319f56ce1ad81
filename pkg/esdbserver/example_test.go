package esdbserver_test

import (
	"context"
	"fmt"
	"net"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"orderflow/pkg/esdbserver"
)

func Example() {
	server, err := esdbserver.Open(esdbserver.Config{}) // in memory
	if err != nil {
		fmt.Println(err)
		return
	}
	defer server.Close()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return
	}
	go server.Serve(listener) // until Close

	config, err := esdb.ParseConnectionString(server.ConnectionString(listener.Addr()))
	if err != nil {
		fmt.Println(err)
		return
	}
	config.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(config)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer client.Close()

	ctx := context.Background()
	written, err := client.AppendToStream(ctx, "order-1", esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}},
		esdb.EventData{EventType: "order-placed", ContentType: esdb.ContentTypeJson, Data: []byte(`{"total":1200}`)})
	if err != nil {
		fmt.Println(err)
		return
	}
	read, err := client.ReadStream(ctx, "order-1", esdb.ReadStreamOptions{}, 10)
	if err != nil {
		fmt.Println(err)
		return
	}
	defer read.Close()
	event, err := read.Recv()
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println("last revision:", written.NextExpectedVersion)
	fmt.Println("event:", event.Event.EventType, string(event.Event.Data))
	// Output:
	// last revision: 0
	// event: order-placed {"total":1200}
}
