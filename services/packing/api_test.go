package packing_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/service/servicetest"
)

func TestTheWorklistIsPagedNewestFirst(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Start()
		var newest []string
		for i := range 5 {
			order := newID()
			e := placed(order)
			e.Time = e.Time.AddDate(0, 0, i/2) // some share an instant: then the id decides
			w.Publish(e)
			newest = append(newest, order)
		}
		slices.Reverse(newest)
		for _, order := range newest {
			w.hasJob(order, "pending")
		}
		w.Call(http.MethodPost, "/jobs/"+newest[1]+"/reject", `{"reason":"broken"}`)

		var pages [][]string
		path := "/jobs?limit=2"
		for path != "" {
			page := w.Get(path)
			pages = append(pages, page.Items("orderId"))
			path = ""
			if next, ok := page.Fields()["nextCursor"].(string); ok {
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
			if diff := cmp.Diff(want, w.Get("/jobs?status="+status).Items("orderId")); diff != "" {
				t.Errorf("%s (-want +got):\n%s", status, diff)
			}
		}
		w.Get("/jobs?status=lost").Refused(http.StatusUnprocessableEntity, "invalid-request", "query.status")
		w.Get("/jobs?limit=101").Refused(http.StatusUnprocessableEntity, "invalid-request", "query.limit")
		w.Get("/jobs?cursor=xyz").Refused(http.StatusUnprocessableEntity, "invalid-request", "query.cursor")
	})
}

func TestACommandOnAnOlderVersionIsRefused(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		w.Start()
		order := newID()
		w.Publish(placed(order), cancelled(order))
		w.hasJob(order, "cancelled")
		pack := func(ifMatch string) servicetest.Answer {
			return w.Call(http.MethodPost, "/jobs/"+order+"/pack", `{"packedBy":"Ada"}`, "If-Match", ifMatch)
		}
		pack(`"0"`).Refused(http.StatusPreconditionFailed, "stale")
		pack(`"seven"`).Refused(http.StatusPreconditionFailed, "stale")
		pack(`"1"`).Refused(http.StatusConflict, "job-cancelled")
		pack(`*`).Refused(http.StatusConflict, "job-cancelled")
	})
}

func TestRequestsThatMakeNoSenseAreRefusedAtTheDoor(t *testing.T) {
	w := newWorld(t, "sqlite://"+t.TempDir()+"/packing.db")
	w.Start()
	order := newID()
	w.Publish(placed(order))
	w.hasJob(order, "pending")

	for _, id := range []string{"nonsense", newID(), strings.ToUpper(order), "%00"} {
		w.Get("/jobs/"+id).Refused(http.StatusNotFound, "not-found")
		w.Call(http.MethodPost, "/jobs/"+id+"/reject", `{"reason":"broken"}`).Refused(http.StatusNotFound, "not-found")
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
			w.Call(http.MethodPost, "/jobs/"+order+c.path, c.body).In(t).
				Refused(http.StatusUnprocessableEntity, "invalid-request", c.location)
		})
	}
	w.Call(http.MethodPost, "/jobs/"+order+"/pack", `{`).Refused(http.StatusBadRequest, "malformed-body")
	if job := w.Get("/jobs/" + order); job.Fields()["status"] != "pending" {
		t.Errorf("got %v, want it pending still", job.Fields())
	}
}
