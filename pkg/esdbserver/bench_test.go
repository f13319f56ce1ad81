package esdbserver_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"net"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"

	"orderflow/pkg/esdbserver/esdbservertest"
)

const benchWriters = 64

// BenchmarkAppend has 64 writers append one event at a time, each to streams of its own, through the official client:
// to a gRPC service that stores nothing, to a store in memory and to one on disk. The first is what client and transport
// cost; the ratio of the others to it is what storing costs.
func BenchmarkAppend(b *testing.B) {
	b.Run("storing-nothing", func(b *testing.B) { benchmarkAppend(b, connect(b, serveNothing(b))) })
	b.Run("in-memory", func(b *testing.B) { benchmarkAppend(b, esdbservertest.New(b).Client(b)) })
	b.Run("on-disk", func(b *testing.B) {
		benchmarkAppend(b, esdbservertest.New(b, esdbservertest.InDir(b.TempDir())).Client(b))
	})
}

func benchmarkAppend(b *testing.B, client *esdb.Client) {
	event := esdb.EventData{EventType: "order-placed", ContentType: esdb.ContentTypeJson, Data: make([]byte, 400), Metadata: make([]byte, 100)}
	var left atomic.Int64
	left.Store(int64(b.N))
	var writers sync.WaitGroup
	b.ResetTimer()
	for w := range benchWriters {
		writers.Go(func() {
			for n := 0; left.Add(-1) >= 0; n++ {
				stream := fmt.Sprintf("order-%d-%d", w, n/10)
				_, err := client.AppendToStream(context.Background(), stream, esdb.AppendToStreamOptions{ExpectedRevision: esdb.Any{}}, event)
				if err != nil {
					b.Errorf("append: %v", err)
					return
				}
			}
		})
	}
	writers.Wait()
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
}

// BenchmarkAppendAlone is the latency of a single writer.
func BenchmarkAppendAlone(b *testing.B) {
	client := esdbservertest.New(b, esdbservertest.InDir(b.TempDir())).Client(b)
	event := esdb.EventData{EventType: "order-placed", ContentType: esdb.ContentTypeJson, Data: make([]byte, 400)}
	for b.Loop() {
		if _, err := client.AppendToStream(context.Background(), "order-1", esdb.AppendToStreamOptions{}, event); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkRead reads a stream and $all of 10,000 events from disk.
func BenchmarkRead(b *testing.B) {
	const events = 10_000
	client := esdbservertest.New(b, esdbservertest.InDir(b.TempDir())).Client(b)
	batch := make([]esdb.EventData, 1000)
	for i := range batch {
		batch[i] = esdb.EventData{EventType: "order-placed", ContentType: esdb.ContentTypeJson, Data: make([]byte, 400)}
	}
	for range events / len(batch) {
		if _, err := client.AppendToStream(context.Background(), "order-1", esdb.AppendToStreamOptions{}, batch...); err != nil {
			b.Fatal(err)
		}
	}
	drain := func(b *testing.B, read *esdb.ReadStream, err error) {
		if err != nil {
			b.Fatal(err)
		}
		n := 0
		for {
			if _, err := read.Recv(); errors.Is(err, io.EOF) {
				break
			} else if err != nil {
				b.Fatal(err)
			}
			n++
		}
		if n != events {
			b.Fatalf("read %d events", n)
		}
	}
	b.Run("stream", func(b *testing.B) {
		for b.Loop() {
			read, err := client.ReadStream(context.Background(), "order-1", esdb.ReadStreamOptions{}, math.MaxInt64)
			drain(b, read, err)
		}
		b.ReportMetric(float64(events*b.N)/b.Elapsed().Seconds(), "events/s")
	})
	b.Run("all", func(b *testing.B) {
		for b.Loop() {
			read, err := client.ReadAll(context.Background(), esdb.ReadAllOptions{}, math.MaxInt64)
			drain(b, read, err)
		}
		b.ReportMetric(float64(events*b.N)/b.Elapsed().Seconds(), "events/s")
	})
}

// BenchmarkDelivery is the time from an append to its arrival at a live subscriber, both included.
func BenchmarkDelivery(b *testing.B) {
	client := esdbservertest.New(b, esdbservertest.InDir(b.TempDir())).Client(b)
	subscription, err := client.SubscribeToAll(context.Background(), esdb.SubscribeToAllOptions{From: esdb.End{}})
	if err != nil {
		b.Fatal(err)
	}
	defer subscription.Close()
	event := esdb.EventData{EventType: "order-placed", ContentType: esdb.ContentTypeJson, Data: make([]byte, 400)}
	for b.Loop() {
		if _, err := client.AppendToStream(context.Background(), "order-1", esdb.AppendToStreamOptions{}, event); err != nil {
			b.Fatal(err)
		}
		for {
			got := subscription.Recv()
			if got.SubscriptionDropped != nil {
				b.Fatal(got.SubscriptionDropped.Error)
			}
			if got.EventAppeared != nil {
				break
			}
		}
	}
}

// nothingStore answers every append and keeps nothing.
type nothingStore struct {
	streams.UnimplementedStreamsServer
	serverfeatures.UnimplementedServerFeaturesServer
}

func (nothingStore) Append(stream streams.Streams_AppendServer) error {
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

func (nothingStore) GetSupportedMethods(context.Context, *shared.Empty) (*serverfeatures.SupportedMethods, error) {
	return &serverfeatures.SupportedMethods{EventStoreServerVersion: "24.10.4"}, nil
}

func serveNothing(b *testing.B) string {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	server := grpc.NewServer()
	streams.RegisterStreamsServer(server, nothingStore{})
	serverfeatures.RegisterServerFeaturesServer(server, nothingStore{})
	go server.Serve(listener)
	b.Cleanup(server.Stop)
	return "esdb://" + listener.Addr().String() + "?tls=false"
}

func connect(t testing.TB, connectionString string) *esdb.Client {
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
