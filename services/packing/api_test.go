package packing_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestTheWorklistIsPagedNewestFirst(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.start()
		var newest []string
		for i := range 5 {
			order := newID()
			e := placed(order)
			e.Time = e.Time.AddDate(0, 0, i/2) // some share an instant: then the id decides
			w.publish(e)
			newest = append(newest, order)
		}
		slices.Reverse(newest)
		for _, order := range newest {
			w.hasJob(order, "pending")
		}
		w.call(http.MethodPost, "/jobs/"+newest[1]+"/reject", `{"reason":"broken"}`)

		var pages [][]string
		path := "/jobs?limit=2"
		for path != "" {
			page := w.call(http.MethodGet, path, "")
			pages = append(pages, page.items("orderId"))
			path = ""
			if next, ok := page.body["nextCursor"].(string); ok {
				path = "/jobs?limit=2&cursor=" + next
			}
		}
		if diff := cmp.Diff([][]string{newest[:2], newest[2:4], newest[4:]}, pages); diff != "" {
			t.Errorf("pages (-want +got):\n%s", diff)
		}
		for status, want := range map[string][]string{
			"rejected": {newest[1]}, "pending": slices.Delete(slices.Clone(newest), 1, 2),
			"packed": {}, "cancelled": {}, "returned": {},
		} {
			if diff := cmp.Diff(want, w.call(http.MethodGet, "/jobs?status="+status, "").items("orderId")); diff != "" {
				t.Errorf("%s (-want +got):\n%s", status, diff)
			}
		}
		w.call(http.MethodGet, "/jobs?status=lost", "").refused(t, http.StatusUnprocessableEntity, "invalid-request", "query.status")
		w.call(http.MethodGet, "/jobs?limit=101", "").refused(t, http.StatusUnprocessableEntity, "invalid-request", "query.limit")
		w.call(http.MethodGet, "/jobs?cursor=xyz", "").refused(t, http.StatusUnprocessableEntity, "invalid-request", "query.cursor")
	})
}

func TestACommandOnAnOlderVersionIsRefused(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.start()
		order := newID()
		w.publish(placed(order), cancelled(order))
		w.hasJob(order, "cancelled")
		pack := func(ifMatch string) answer {
			return w.call(http.MethodPost, "/jobs/"+order+"/pack", `{"packedBy":"Ada"}`, "If-Match: "+ifMatch)
		}
		pack(`"0"`).refused(t, http.StatusPreconditionFailed, "stale")
		pack(`"seven"`).refused(t, http.StatusPreconditionFailed, "stale")
		pack(`"1"`).refused(t, http.StatusConflict, "job-cancelled")
		pack(`*`).refused(t, http.StatusConflict, "job-cancelled")
	})
}

func TestRequestsThatMakeNoSenseAreRefusedAtTheDoor(t *testing.T) {
	w := newWorld(t, "sqlite://"+t.TempDir()+"/packing.db")
	w.start()
	order := newID()
	w.publish(placed(order))
	w.hasJob(order, "pending")

	for _, id := range []string{"nonsense", newID(), strings.ToUpper(order), "%00"} {
		w.call(http.MethodGet, "/jobs/"+id, "").refused(t, http.StatusNotFound, "not-found")
		w.call(http.MethodPost, "/jobs/"+id+"/reject", `{"reason":"broken"}`).refused(t, http.StatusNotFound, "not-found")
	}
	for name, c := range map[string]struct {
		path, body, location string
	}{
		"nobody":             {"/pack", `{}`, "body"},
		"blank":              {"/pack", `{"packedBy":"  "}`, "body.packedBy"},
		"control characters": {"/pack", `{"packedBy":"A\u0000da"}`, "body.packedBy"},
		"too long":           {"/pack", `{"packedBy":"` + strings.Repeat("x", 201) + `"}`, "body.packedBy"},
		"unknown field":      {"/pack", `{"packedBy":"Ada","when":"now"}`, "body.when"},
		"no text":            {"/reject", `{"reason":7}`, "body.reason"},
		"empty":              {"/reject", `{"reason":""}`, "body.reason"},
	} {
		t.Run(name, func(t *testing.T) {
			w.call(http.MethodPost, "/jobs/"+order+c.path, c.body).
				refused(t, http.StatusUnprocessableEntity, "invalid-request", c.location)
		})
	}
	w.call(http.MethodPost, "/jobs/"+order+"/pack", `{`).refused(t, http.StatusBadRequest, "malformed-body")
	if job := w.call(http.MethodGet, "/jobs/"+order, ""); job.body["status"] != "pending" {
		t.Errorf("got %v, want it pending still", job.body)
	}
}
