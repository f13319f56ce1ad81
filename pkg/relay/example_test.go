package relay_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"os"
	"path/filepath"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
	"orderflow/pkg/esdbserver"
	"orderflow/pkg/eventbus"
	"orderflow/pkg/relay"
	"orderflow/pkg/sqldb"
)

// printBus stands for a bus.
type printBus struct{ published chan struct{} }

func (b printBus) Publish(_ context.Context, events ...eventbus.Event) error {
	for _, e := range events {
		fmt.Println(e.Type, e.Sequence, string(e.Data))
	}
	close(b.published)
	return nil
}

// announcePlaced is what a service brings: what its events mean to others.
func announcePlaced(_ context.Context, r es.Recorded) ([]eventbus.Event, error) {
	if r.Type != "order-placed" {
		return nil, nil // nobody else's business
	}
	const typ = "order.events.placed.v1"
	return []eventbus.Event{{
		ID: cause.IntegrationID(r.ID, typ).String(), Source: "/orderflow/order", Type: typ,
		Subject: r.AggregateID().String(), Time: r.At, Data: r.Data, Sequence: int64(r.Revision),
		CorrelationID: r.Metadata.CorrelationID, CausationID: r.Metadata.CausationID,
	}}, nil
}

// What was appended to the log reaches the bus.
func Example() {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	folder, err := os.MkdirTemp("", "relay")
	if err != nil {
		panic(err)
	}
	defer func() { _ = os.RemoveAll(folder) }()
	db, err := sqldb.Open(ctx, "sqlite://"+filepath.Join(folder, "order.db"))
	if err != nil {
		panic(err)
	}
	defer db.Close()
	if err := relay.Migrate(ctx, db); err != nil {
		panic(err)
	}
	url, stop := serveEvents()
	defer stop()
	store, err := es.Open(url, slog.New(slog.DiscardHandler))
	if err != nil {
		panic(err)
	}
	defer store.Close()

	bus := printBus{published: make(chan struct{})}
	r := relay.New(relay.Config{
		Name: "order", Store: store, Prefixes: []string{"order-"}, DB: db, Bus: bus, Translate: announcePlaced,
	})
	running := make(chan struct{})
	go func() { defer close(running); _ = r.Run(ctx) }()

	appendTo(ctx, url, "order-"+uuid.NewString(), "order-priced", "order-placed")
	<-bus.published
	cancel()
	<-running
	// Output: order.events.placed.v1 1 {"by":"a customer"}
}

// serveEvents starts an embedded event store.
func serveEvents() (url string, stop func()) {
	server, err := esdbserver.Open(esdbserver.Config{})
	if err != nil {
		panic(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		panic(err)
	}
	served := make(chan error)
	go func() { served <- server.Serve(listener) }()
	return "esdb://" + listener.Addr().String() + "?tls=false", func() { _ = server.Close(); <-served }
}

func appendTo(ctx context.Context, url, stream string, types ...string) {
	config, err := esdb.ParseConnectionString(url)
	if err != nil {
		panic(err)
	}
	config.Logger = esdb.NoopLogging()
	client, err := esdb.NewClient(config)
	if err != nil {
		panic(err)
	}
	defer client.Close()
	for _, typ := range types {
		data, err := json.Marshal(map[string]string{"by": "a customer"})
		if err != nil {
			panic(err)
		}
		event := esdb.EventData{EventID: uuid.New(), EventType: typ, ContentType: esdb.ContentTypeJson, Data: data}
		if _, err := client.AppendToStream(ctx, stream, esdb.AppendToStreamOptions{}, event); err != nil {
			panic(err)
		}
	}
}
