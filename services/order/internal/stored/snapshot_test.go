package stored_test

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
	"orderflow/pkg/es/snapshot"
	"orderflow/pkg/esdbserver/esdbservertest"
	"orderflow/pkg/sqldb/sqldbtest"
	"orderflow/services/order/internal/domain"
	"orderflow/services/order/internal/stored"
)

// A history as the first release wrote it has a snapshot after each of its
// events, one that means two today among them. From each of these the order is
// what all events make of it, at the revision of what is stored.
func TestASnapshotAfterAnyEventOfAnyVersionIsWhatTheEventsSay(t *testing.T) {
	server, db := esdbservertest.New(t), sqldbtest.SQLite(t)
	if err := snapshot.Migrate(t.Context(), db); err != nil {
		t.Fatal(err)
	}
	client, err := es.Open(server.ConnectionString(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	table, id := snapshot.New(db), cause.NewID()
	plain := es.NewRepository(client, "order", stored.Codec{}, domain.Apply)
	eager := plain.WithSnapshots(es.Snapshots[domain.Order]{Store: table, Codec: stored.States{}, Every: 1})
	history := []golden{goldens[0], goldens[2], goldens[5], goldens[3]} // placed, packed, rejected and cancelled, dispatched
	for revision, event := range history {
		data, err := os.ReadFile(filepath.Join("testdata", event.File()))
		if err != nil {
			t.Fatal(err)
		}
		server.Append(t, es.StreamName("order", id), esdb.EventData{
			EventID: uuid.New(), EventType: event.Type, ContentType: esdb.ContentTypeJson, Data: data, Metadata: []byte(`{"version":1}`),
		})
		want, at, err := plain.Load(t.Context(), id)
		if err != nil || int(at) != revision {
			t.Fatalf("at %d, want %d: %v", at, revision, err)
		}
		sqldbtest.Eventually(t, "a snapshot after "+event.File(), func() bool {
			got, at, err := eager.Load(t.Context(), id)
			if diff := cmp.Diff(want, got); diff != "" || int(at) != revision || err != nil {
				t.Fatalf("after %s, at %d: %v %s", event.File(), at, err, diff)
			}
			s, err := table.Load(t.Context(), es.StreamName("order", id))
			return err == nil && int(s.Revision) == revision
		})
	}
	if len(history[2].Means) != 2 {
		t.Error("none of the events means two")
	}
}
