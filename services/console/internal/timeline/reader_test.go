package timeline_test

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/service"
	"orderflow/services/console/internal/board"
	"orderflow/services/console/internal/neighbours"
	"orderflow/services/console/internal/stagetest"
	"orderflow/services/console/internal/timeline"
)

const (
	ada      = "0198c0de-0000-7000-8000-0000000000ad"
	placed   = "order.events.placed.v1"
	placedV2 = "order.events.placed.v2"
	packed   = "packing.events.packed.v1"
	unknown  = "0198c0de-0000-7000-8000-000000000000"
)

func reader(system *stagetest.System) *timeline.Reader {
	services := system.Neighbours()
	return timeline.NewReader(services, board.NewNames(services))
}

// awaited is what a timeline waits for: service and what it is doing.
func awaited(t timeline.Timeline) []string {
	all := []string{}
	for _, a := range t.Awaited {
		all = append(all, a.Service+" "+a.Doing)
	}
	return all
}

func TestEventOnItsWayIsAwaitedByEachOfItsReaders(t *testing.T) {
	system := stagetest.New(t)
	read := reader(system)
	j := system.NewJourney(time.Now().UTC())
	check := func(when string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(append([]string{}, want...), awaited(read.Read(t.Context(), j.OrderID))); diff != "" {
			t.Errorf("%s: %s", when, diff)
		}
	}
	j.Place(ada, "Mug", 2580)
	check("placed", "packing travelling", "crm travelling", "reporting travelling")
	j.Receive("crm", placed)
	check("crm has it", "packing travelling", "reporting travelling")
	j.Spread(placed, "packing")
	j.Spread(placedV2, "reporting")
	check("all have it", "packing person")
	j.Pack()
	check("packed", "order travelling", "dispatch travelling", "crm travelling", "reporting travelling")
	j.RecordPacked()
	j.Spread(packed, "dispatch", "crm", "reporting")
	check("all know it is packed", "dispatch person")
}

// An order that is late is still waited for, and goods that are asked back are
// on their way.
func TestOrderThatIsLateAndThenBroughtBackIsFollowed(t *testing.T) {
	system := stagetest.New(t)
	read := reader(system)
	j := system.NewJourney(time.Now().UTC())
	check := func(when string, want ...string) {
		t.Helper()
		if diff := cmp.Diff(append([]string{}, want...), awaited(read.Read(t.Context(), j.OrderID))); diff != "" {
			t.Errorf("%s: %s", when, diff)
		}
	}
	j.Place(ada, "Mug", 2580)
	j.Spread(placed, "packing", "crm")
	j.Spread(placedV2, "reporting")
	j.After(4 * time.Hour).Late()
	check("late", "crm travelling", "reporting travelling", "packing person")
	j.Spread("order.events.delayed.v1", "crm", "reporting")
	j.Pack()
	j.RecordPacked()
	j.Spread(packed, "dispatch", "crm", "reporting")
	j.Cancel()
	j.Spread("order.events.cancelled.v1", "packing", "dispatch", "crm", "reporting")
	check("asked back", "packing travelling")
	j.Return()
	check("brought back", "order travelling", "reporting travelling")
	j.Spread("packing.events.returned.v1", "order", "reporting")
	check("all know")

	// Every event but the first of each chain has its cause.
	for _, item := range read.Read(t.Context(), j.OrderID).Items {
		if item.Type == "packing.events.returned.v1" && item.Kind == "published" && len(item.From) != 1 {
			t.Errorf("%s has no cause: %+v", item.Key, item)
		}
	}
}

func TestNothingIsSaidOfWhatASilentServiceHasReceived(t *testing.T) {
	system := stagetest.New(t)
	read := reader(system)
	j := system.NewJourney(time.Now().UTC())
	j.Place(ada, "Mug", 2580)
	system.Stop(neighbours.Packing)
	got := read.Read(t.Context(), j.OrderID)
	if diff := cmp.Diff([]string{"crm travelling", "reporting travelling"}, awaited(got)); diff != "" {
		t.Error(diff)
	}
}

func TestEventsOlderThanTheirReadersMemoryAreNotAwaited(t *testing.T) {
	system := stagetest.New(t)
	j := system.NewJourney(time.Now().UTC().AddDate(0, -2, 0))
	j.Place(ada, "Mug", 2580)
	if got := awaited(reader(system).Read(t.Context(), j.OrderID)); len(got) != 0 {
		t.Errorf("awaited: %v", got)
	}
}

func TestServiceThatIsDownIsNamedAndTheRestIsShown(t *testing.T) {
	system := stagetest.New(t)
	read := reader(system)
	j := system.NewJourney(time.Now().UTC())
	j.Place(ada, "Mug", 2580)
	j.SpreadPlaced()
	system.Stop(neighbours.CRM)
	got := read.Read(t.Context(), j.OrderID)
	want := []timeline.Answer{
		{Service: "customer"},
		{Service: "catalog"},
		{Service: "order", Items: 4},
		{Service: "packing", Items: 1},
		{Service: "dispatch"},
		{Service: "crm", Problem: "crm does not answer: connection refused"},
		{Service: "reporting", Items: 1},
	}
	if diff := cmp.Diff(want, got.Services); diff != "" {
		t.Error(diff)
	}
	if len(got.Items) != 6 || got.Order == nil || got.Order.Status != "placed" {
		t.Errorf("%d items, order %+v", len(got.Items), got.Order)
	}
}

func TestWatchedTimelineKeepsThePartOfAServiceThatGoesDown(t *testing.T) {
	system := stagetest.New(t)
	read := reader(system)
	system.Call(ada, "Ada Lovelace")
	j := system.NewJourney(time.Now().UTC())
	states := make(chan timeline.Timeline, 1000)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var last timeline.Timeline
		read.Watch(j.OrderID)(ctx, func(state any) bool {
			now, ok := state.(timeline.Timeline)
			if !ok || cmp.Equal(last, now) {
				return false
			}
			last = now
			states <- now
			return true
		})
	}()
	t.Cleanup(func() { stop(); <-ended })
	until := func(what string, so func(timeline.Timeline) bool) {
		t.Helper()
		deadline := time.After(15 * time.Second)
		for {
			select {
			case now := <-states:
				if so(now) {
					return
				}
			case <-deadline:
				t.Fatalf("it never came to pass that %s", what)
			}
		}
	}
	until("nobody knows it", func(now timeline.Timeline) bool { return !now.Known() })
	j.Place(ada, "Mug", 2580)
	until("it is placed", func(now timeline.Timeline) bool { return len(now.Items) == 4 })
	until("its customer has a name", func(now timeline.Timeline) bool { return now.Order.CustomerName == "Ada Lovelace" })
	system.Stop(neighbours.Order)
	until("order is down", func(now timeline.Timeline) bool {
		return now.Services[2].Problem != "" && len(now.Items) == 4 && now.Order != nil
	})
	j.Receive("packing", placed)
	until("packing goes on", func(now timeline.Timeline) bool { return len(now.Items) == 5 })
	system.Start(neighbours.Order)
	until("order is back", func(now timeline.Timeline) bool { return now.Services[2].Problem == "" })
}

// get asks the console's own API.
func get(t *testing.T, read *timeline.Reader, id string) (int, timeline.Timeline) {
	t.Helper()
	svc, err := service.New("console", "127.0.0.1:0", service.Host{Log: io.Discard})
	if err != nil {
		t.Fatal(err)
	}
	read.Serve(svc)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- svc.Run(ctx) }()
	defer func() {
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}()
	deadline := time.After(10 * time.Second)
	again := time.NewTicker(5 * time.Millisecond)
	defer again.Stop()
	for {
		recorder := httptest.NewRecorder()
		svc.Router.ServeHTTP(recorder, httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/api/orders/"+id+"/timeline", http.NoBody))
		var got timeline.Timeline
		if err := json.Unmarshal(recorder.Body.Bytes(), &got); err != nil {
			t.Fatal(err)
		}
		var problem service.Problem
		if json.Unmarshal(recorder.Body.Bytes(), &problem) != nil || problem.Type != "urn:orderflow:problem:starting" {
			return recorder.Code, got
		}
		select {
		case <-again.C:
		case <-deadline:
			t.Fatal("the service does not start")
		}
	}
}

func TestTimelineOverHTTP(t *testing.T) {
	system := stagetest.New(t)
	system.Call(ada, "Ada Lovelace")
	read := reader(system)
	j := system.NewJourney(time.Now().UTC())
	j.Place(ada, "Mug", 2580)
	status, got := get(t, read, j.OrderID)
	if status != http.StatusOK || len(got.Items) != 4 || got.Order.CustomerName != "Ada Lovelace" {
		t.Errorf("%d %+v", status, got)
	}
}

func TestIDThatNobodyHasIsNotFound(t *testing.T) {
	system := stagetest.New(t)
	read := reader(system)
	for _, id := range []string{unknown, "1", "..%2Fmetrics", "0198C0DE-0000-7000-8000-000000000000"} {
		if status, _ := get(t, read, id); status != http.StatusNotFound {
			t.Errorf("%s: %d", id, status)
		}
	}
}

func TestIDThatASilentServiceMayHaveIsNotSaidToBeUnknown(t *testing.T) {
	system := stagetest.New(t)
	read := reader(system)
	system.Stop(neighbours.Order)
	if status, _ := get(t, read, unknown); status != http.StatusServiceUnavailable {
		t.Errorf("got %d", status)
	}
}
