package packing_test

import (
	"net/http"
	"testing"

	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

func TestEveryCommandRestsOnItsAnnouncement(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Start()
		one, other := newID(), newID()
		w.Publish(placed(one), placed(other))
		if a := w.Shows("/jobs/"+one+"?", placed(one)); a.Text("status") != "pending" {
			t.Errorf("%s", a.Body)
		}
		w.Shows("/jobs?", placed(other))
		w.Call(http.MethodPost, "/jobs/"+other+"/reject", `{"reason":"broken"}`, "If-Match", `"7"`).Refused(http.StatusPreconditionFailed, "stale")
		w.RestsOn(w.Call(http.MethodPost, "/jobs/"+other+"/reject", `{"reason":"broken"}`).Want(http.StatusOK), "packing.events.rejected.v1", 1)
		pack := func() { // the second changes nothing, and rests on the first
			w.RestsOn(w.Call(http.MethodPost, "/jobs/"+one+"/pack", `{"packedBy":"Ada"}`).Want(http.StatusOK), "packing.events.packed.v1", 1)
		}
		pack()
		w.Publish(cancelled(one)) // counts the version up, and is announced by nobody here
		w.Shows("/jobs/"+one+"?", cancelled(one))
		pack()
		// What was sent long ago is forgotten, and needs no waiting for.
		db, err := sqldb.Open(t.Context(), w.Environ["DATABASE_URL"])
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		sqldbtest.Eventually(t, "the outbox is empty", func() bool {
			return sqldbtest.Exec(t, db, `DELETE FROM outbox WHERE sent_at IS NOT NULL`) >= 0 && sqldbtest.Count(t, db, `SELECT count(*) FROM outbox`) == 0
		})
		a := w.Call(http.MethodPost, "/jobs/"+one+"/pack", `{"packedBy":"Ada"}`).Want(http.StatusOK)
		if position := a.Header.Get("Orderflow-Position"); position != "" {
			t.Errorf("position %q", position)
		}
	})
}
