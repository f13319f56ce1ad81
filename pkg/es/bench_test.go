package es_test

import (
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
)

// BenchmarkUpdate compares one command with the least a client has to do for it:
// one append. The ratio of the two, measured in turns in one run, is what
// loading, re-reading and this package cost.
func BenchmarkUpdate(b *testing.B) {
	server, _, counters := counters(b)
	client := server.Client(b)
	var updates, appends time.Duration
	for b.Loop() {
		began := time.Now()
		if _, _, err := counters.Update(b.Context(), cause.NewID(), command(), es.Precondition{}, add(1)); err != nil {
			b.Fatal(err)
		}
		middle := time.Now()
		_, err := client.AppendToStream(b.Context(), stream(cause.NewID()), esdb.AppendToStreamOptions{ExpectedRevision: esdb.NoStream{}},
			esdb.EventData{EventID: uuid.New(), EventType: "added", ContentType: esdb.ContentTypeJson, Data: []byte(`{"N":1}`)})
		if err != nil {
			b.Fatal(err)
		}
		updates, appends = updates+middle.Sub(began), appends+time.Since(middle)
	}
	b.ReportMetric(float64(updates.Microseconds())/float64(b.N), "µs/update")
	b.ReportMetric(float64(updates)/float64(appends), "updates/append")
}
