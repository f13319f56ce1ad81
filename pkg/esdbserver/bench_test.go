package esdbserver_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io"
	"math"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"orderflow/pkg/esdbserver"
)

// The benchmarks compare the store with what limits it: the same client against a service that stores nothing or has its
// answers ready, or the same database without a service around it. Both sides take turns within one run, so that a busy
// machine slows both, and the ratio is what to look at: 1 is the limit itself.

// compare does the same number of operations with ours and with the limit, in turns, and reports how the rate of ours stands
// to that of the limit: the median of the turns, so that a moment in which the machine is busy elsewhere counts for little.
func compare(b *testing.B, operations int, limit, ours func()) {
	b.Helper()
	limit() // warm up
	ours()
	var ratios, limits, rates []float64
	for b.Loop() {
		start := time.Now()
		limit()
		turn := time.Now()
		ours()
		limitTook, oursTook := turn.Sub(start).Seconds(), time.Since(turn).Seconds()
		ratios = append(ratios, limitTook/oursTook)
		limits = append(limits, float64(operations)/limitTook)
		rates = append(rates, float64(operations)/oursTook)
	}
	b.ReportMetric(percentile(ratios, 50), "ratio")
	b.ReportMetric(percentile(rates, 50), "ours/s")
	b.ReportMetric(percentile(limits, 50), "limit/s")
	b.ReportMetric(0, "ns/op") // of a turn of both: it says nothing
}

// BenchmarkAppendBy64 has 64 writers append one event at a time. The limit is the same gRPC service storing nothing.
func BenchmarkAppendBy64(b *testing.B) {
	for _, place := range []struct {
		name string
		dir  func(*testing.B) string
	}{
		{"disk", func(b *testing.B) string { return b.TempDir() }},
		{"memory", func(*testing.B) string { return "" }},
	} {
		b.Run(place.name, func(b *testing.B) {
			const writers, each = 64, 20
			limit := appendBy(b, connect(b, serveReady(b)), writers, each)
			ours := appendBy(b, serve(b, esdbserver.Config{Dir: place.dir(b)}), writers, each)
			compare(b, writers*each, limit, ours)
		})
	}
}

// appendBy returns a round of appends: writers at the same time, each with as many appends one after the other, ten to a
// stream.
func appendBy(b *testing.B, client *esdb.Client, writers, each int) func() {
	event := benchEvent()
	round := 0
	return func() {
		round++
		var all sync.WaitGroup
		for w := range writers {
			all.Go(func() {
				for n := range each {
					stream := fmt.Sprintf("order-%d-%d-%d", round, w, n/10)
					if _, err := client.AppendToStream(context.Background(), stream, esdb.AppendToStreamOptions{}, event); err != nil {
						b.Errorf("append: %v", err)
						return
					}
				}
			})
		}
		all.Wait()
	}
}

// benchEvent is an event as services write them: about 500 bytes.
func benchEvent() esdb.EventData {
	return esdb.EventData{EventType: "order-placed", ContentType: esdb.ContentTypeJson, Data: make([]byte, 400), Metadata: make([]byte, 100)}
}

// BenchmarkAppendWithSystemProjections shows what linking every event costs its writers: the limit is the same store without.
func BenchmarkAppendWithSystemProjections(b *testing.B) {
	const writers, each = 64, 20
	limit := appendBy(b, serve(b, esdbserver.Config{Dir: b.TempDir()}), writers, each)
	ours := appendBy(b, serve(b, esdbserver.Config{Dir: b.TempDir(), SystemProjections: true}), writers, each)
	compare(b, writers*each, limit, ours)
}

// BenchmarkAppendAlone is a single writer who waits for each answer. The limit is a SQLite transaction with one insert.
func BenchmarkAppendAlone(b *testing.B) {
	const each = 100
	compare(b, each, insertIntoSQLite(b, each, 1), appendBatches(b, each, 1))
}

// BenchmarkAppendOf100 is a single writer with 100 events an append. The limit is a SQLite transaction with 100 inserts.
func BenchmarkAppendOf100(b *testing.B) {
	const each = 20
	compare(b, each*100, insertIntoSQLite(b, each, 100), appendBatches(b, each, 100))
}

func appendBatches(b *testing.B, appends, events int) func() {
	client := serve(b, esdbserver.Config{Dir: b.TempDir()})
	batch := slices.Repeat([]esdb.EventData{benchEvent()}, events)
	round := 0
	return func() {
		round++
		for range appends {
			stream := fmt.Sprintf("order-%d", round)
			if _, err := client.AppendToStream(context.Background(), stream, esdb.AppendToStreamOptions{}, batch...); err != nil {
				b.Fatalf("append: %v", err)
			}
		}
	}
}

// insertIntoSQLite writes the same bytes as an append into a table with the same indexes, as durably.
func insertIntoSQLite(b *testing.B, transactions, rows int) func() {
	b.Helper()
	ctx := context.Background()
	db, err := sql.Open("sqlite", "file:"+filepath.Join(b.TempDir(), "limit.sqlite")+
		"?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=wal_autocheckpoint(4000)")
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { db.Close() })
	db.SetMaxOpenConns(1)
	if _, err := db.ExecContext(ctx, `CREATE TABLE event (position INTEGER PRIMARY KEY, stream_id INTEGER NOT NULL, revision INTEGER NOT NULL,
		id BLOB NOT NULL, type TEXT NOT NULL, created INTEGER NOT NULL, data BLOB NOT NULL, metadata BLOB NOT NULL) STRICT;
		CREATE UNIQUE INDEX event_revision ON event (stream_id, revision)`); err != nil {
		b.Fatal(err)
	}
	insert, err := db.PrepareContext(ctx, `INSERT INTO event VALUES (?,?,?,?,?,?,?,?)`)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { insert.Close() })
	event, position := benchEvent(), 0
	return func() {
		for range transactions {
			tx, err := db.BeginTx(ctx, nil)
			if err != nil {
				b.Fatal(err)
			}
			in := tx.StmtContext(ctx, insert)
			for range rows {
				position++
				id := uuid.New()
				if _, err := in.ExecContext(ctx, position, 1, position, id[:], event.EventType, time.Now().UnixNano(), event.Data, event.Metadata); err != nil {
					b.Fatal(err)
				}
			}
			if err := tx.Commit(); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// BenchmarkRead reads 10,000 events from disk. The limit is the same service sending messages that it has ready.
func BenchmarkRead(b *testing.B) {
	const events = 10_000
	ready := connect(b, serveReady(b))
	client := serve(b, esdbserver.Config{Dir: b.TempDir()})
	batch := slices.Repeat([]esdb.EventData{benchEvent()}, 1000)
	for range events / len(batch) {
		if _, err := client.AppendToStream(context.Background(), "order-1", esdb.AppendToStreamOptions{}, batch...); err != nil {
			b.Fatal(err)
		}
	}
	stream := func(client *esdb.Client) func() {
		return func() {
			read, err := client.ReadStream(context.Background(), "order-1", esdb.ReadStreamOptions{}, events)
			drain(b, read, err, events)
		}
	}
	all := func(client *esdb.Client) func() {
		return func() {
			read, err := client.ReadAll(context.Background(), esdb.ReadAllOptions{}, events)
			drain(b, read, err, events)
		}
	}
	b.Run("stream", func(b *testing.B) { compare(b, events, stream(ready), stream(client)) })
	b.Run("all", func(b *testing.B) { compare(b, events, all(ready), all(client)) })
}

func drain(b *testing.B, read *esdb.ReadStream, err error, want int) {
	if err != nil {
		b.Fatal(err)
	}
	defer read.Close()
	n := 0
	for {
		if _, err := read.Recv(); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			b.Fatal(err)
		}
		n++
	}
	if n != want {
		b.Fatalf("read %d events, want %d", n, want)
	}
}

// BenchmarkDelivery is the time from the answer of an append to the event's arrival at a live subscriber, and from the
// append's beginning. The two may cross: the subscriber is served while the writer is answered.
func BenchmarkDelivery(b *testing.B) {
	client := serve(b, esdbserver.Config{Dir: b.TempDir()})
	subscription, err := client.SubscribeToAll(context.Background(), esdb.SubscribeToAllOptions{From: esdb.End{}})
	if err != nil {
		b.Fatal(err)
	}
	defer subscription.Close()
	event := benchEvent()
	var fromBegin, fromAnswer []float64
	for b.Loop() {
		begun := time.Now()
		if _, err := client.AppendToStream(context.Background(), "order-1", esdb.AppendToStreamOptions{}, event); err != nil {
			b.Fatal(err)
		}
		answered := time.Now()
		for {
			got := subscription.Recv()
			if got.SubscriptionDropped != nil {
				b.Fatal(got.SubscriptionDropped.Error)
			}
			if got.EventAppeared != nil {
				break
			}
		}
		fromBegin = append(fromBegin, time.Since(begun).Seconds()*1e3)
		fromAnswer = append(fromAnswer, time.Since(answered).Seconds()*1e3)
	}
	b.ReportMetric(percentile(fromBegin, 50), "p50-ms-from-begin")
	b.ReportMetric(percentile(fromBegin, 99), "p99-ms-from-begin")
	b.ReportMetric(percentile(fromAnswer, 50), "p50-ms-from-answer")
	b.ReportMetric(0, "ns/op")
}

func percentile(values []float64, p int) float64 {
	slices.Sort(values)
	return values[int(math.Ceil(float64(len(values)*p)/100))-1]
}
