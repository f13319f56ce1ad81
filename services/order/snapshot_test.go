package order_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"

	"orderflow/pkg/service/servicetest"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

func TestALongOrderIsServedWithASnapshotAndWithoutOne(t *testing.T) {
	t.Parallel()
	servicetest.OnBothDatabases(t, func(t *testing.T, database string) {
		w := startOn(t, database)
		db, err := sqldb.Open(t.Context(), database)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		w.product("mug", 1250, "EUR")
		id := w.placed(w.customer())
		events := make([]esdb.EventData, 250)
		for i := range events { // as no rule would have it, but as a stream can be
			events[i] = esdb.EventData{
				EventID: uuid.New(), EventType: "order-packed", ContentType: esdb.ContentTypeJson,
				Data: []byte(`{"packedAt":"2026-03-14T16:00:00Z"}`), Metadata: []byte(`{"version":1}`),
			}
		}
		w.store.Append(t, "order-"+id, events...)
		first := w.Get("/orders/" + id).Want(http.StatusOK)
		sqldbtest.Eventually(t, "a snapshot is taken", func() bool {
			return sqldbtest.Count(t, db, `SELECT count(*) FROM es_snapshot`) == 1
		})
		same := func(what string) {
			if a := w.Get("/orders/" + id).Want(http.StatusOK); string(a.Body) != string(first.Body) {
				t.Errorf("%s: %s\nbefore: %s", what, a.Body, first.Body)
			}
		}
		same("with a snapshot")
		sqldbtest.Exec(t, db, `UPDATE es_snapshot SET version = version + 1`) // its checksum is another now
		same("with a damaged one")
		sqldbtest.Exec(t, db, `DELETE FROM es_snapshot`)
		same("with none")
		if !strings.Contains(w.Log(), "snapshot is taken anew") {
			t.Error("nothing was said of the damaged one")
		}
		cancelled := w.Call("POST", "/orders/"+id+"/cancel", reason, "If-Match", `"250"`).Want(http.StatusOK)
		w.RestsOn(cancelled, cancelledV1, 251)
	})
}
