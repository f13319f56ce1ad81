package board_test

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orderflow/services/console/internal/board"
	"orderflow/services/console/internal/neighbours"
	"orderflow/services/console/internal/stagetest"
	"orderflow/services/console/internal/viewers"
)

const customer = "0198c0de-0000-7000-8000-0000000000ad"

// watch runs a source until the test ends, and returns what it emits.
func watch[T any](t *testing.T, source viewers.Source) <-chan T {
	t.Helper()
	states := make(chan T, 1000)
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		var last any
		source(ctx, func(state any) bool {
			if cmp.Equal(state, last) {
				return false
			}
			last = state
			states <- state.(T)
			return true
		})
	}()
	t.Cleanup(func() { stop(); <-ended })
	return states
}

// until returns the first state that is as wanted.
func until[T any](t *testing.T, states <-chan T, what string, wanted func(T) bool) T {
	t.Helper()
	deadline := time.After(15 * time.Second)
	for {
		select {
		case state := <-states:
			if wanted(state) {
				return state
			}
		case <-deadline:
			t.Fatalf("it never came to pass that %s", what)
		}
	}
}

func list(t *testing.T, system *stagetest.System) *board.Orders {
	t.Helper()
	services := system.Neighbours()
	return board.NewOrders(services, board.NewNames(services))
}

func place(system *stagetest.System, id, status string) {
	system.Add(board.Order{OrderID: id, CustomerID: customer, Status: status, Lines: []board.Line{}, PlacedAt: stagetest.Moment(0)})
}

func TestBoardShowsAnOrderAsItHappens(t *testing.T) {
	system := stagetest.New(t)
	system.Call(customer, "Ada Lovelace")
	states := watch[board.Page](t, list(t, system).Watch(""))
	until(t, states, "the board is empty", func(p board.Page) bool { return len(p.Items) == 0 && p.Problem == "" })
	place(system, "one", "placed")
	until(t, states, "the order is there", func(p board.Page) bool { return len(p.Items) == 1 })
	until(t, states, "its customer has a name", func(p board.Page) bool { return p.Items[0].CustomerName == "Ada Lovelace" })
	system.Change("one", func(o *board.Order) { o.Status = "packed" })
	until(t, states, "it is packed", func(p board.Page) bool { return p.Items[0].Status == "packed" })
}

func TestBoardCanShowOneStatus(t *testing.T) {
	system := stagetest.New(t)
	place(system, "one", "placed")
	place(system, "two", "packed")
	page := until(t, watch[board.Page](t, list(t, system).Watch("packed")), "there is a page", func(board.Page) bool { return true })
	if len(page.Items) != 1 || page.Items[0].OrderID != "two" {
		t.Errorf("got %+v", page.Items)
	}
}

func TestBoardKeepsWhatItHadWhileOrderIsDown(t *testing.T) {
	system := stagetest.New(t)
	place(system, "one", "placed")
	states := watch[board.Page](t, list(t, system).Watch(""))
	until(t, states, "the order is there", func(p board.Page) bool { return len(p.Items) == 1 })
	system.Stop(neighbours.Order)
	down := until(t, states, "the page says so", func(p board.Page) bool { return p.Problem != "" })
	if len(down.Items) != 1 || down.Problem != "order does not answer: connection refused" {
		t.Errorf("got %+v", down)
	}
	place(system, "two", "placed")
	system.Start(neighbours.Order)
	until(t, states, "it goes on", func(p board.Page) bool { return len(p.Items) == 2 && p.Problem == "" })
}

func TestOrdersDoNotWaitForNames(t *testing.T) {
	system := stagetest.New(t)
	place(system, "one", "placed")
	system.Hang(neighbours.CRM)
	states := watch[board.Page](t, list(t, system).Watch(""))
	first := until(t, states, "the order is there", func(p board.Page) bool { return len(p.Items) == 1 })
	if first.Items[0].CustomerName != "" {
		t.Errorf("named %s", first.Items[0].CustomerName)
	}
	system.Change("one", func(o *board.Order) { o.Status = "packed" })
	until(t, states, "it goes on", func(p board.Page) bool { return p.Items[0].Status == "packed" })
}

func TestFiguresFollowReporting(t *testing.T) {
	system := stagetest.New(t)
	states := watch[board.Summary](t, board.WatchSummary(system.Neighbours()))
	until(t, states, "there are figures", func(s board.Summary) bool { return s.Figures != nil })
	system.Figure(`{"ordersByStatus":{"placed":3},"revenue":[{"amount":5,"currency":"EUR"}],"timeToPack":{"medianMs":7,"p95Ms":9},"timeToDispatch":null}`)
	got := until(t, states, "they change", func(s board.Summary) bool { return s.Figures.OrdersByStatus["placed"] == 3 })
	median, p95 := 7.0, 9.0
	want := &board.Figures{
		OrdersByStatus: map[string]int64{"placed": 3}, Revenue: []board.Money{{Amount: 5, Currency: "EUR"}},
		TimeToPack: &board.Spread{MedianMs: &median, P95Ms: &p95},
	}
	if diff := cmp.Diff(want, got.Figures); diff != "" {
		t.Error(diff)
	}
}

func TestFiguresStayWhileReportingIsDown(t *testing.T) {
	system := stagetest.New(t)
	system.Figure(`{"ordersByStatus":{"placed":1}}`)
	states := watch[board.Summary](t, board.WatchSummary(system.Neighbours()))
	until(t, states, "there are figures", func(s board.Summary) bool { return s.Figures != nil })
	system.Stop(neighbours.Reporting)
	down := until(t, states, "the page says so", func(s board.Summary) bool { return s.Problem != "" })
	if down.Figures == nil || down.Figures.OrdersByStatus["placed"] != 1 {
		t.Errorf("got %+v", down.Figures)
	}
	system.Figure(`{"ordersByStatus":{"placed":2}}`)
	system.Start(neighbours.Reporting)
	until(t, states, "it goes on", func(s board.Summary) bool { return s.Problem == "" && s.Figures.OrdersByStatus["placed"] == 2 })
}

func TestFiguresThatMakeNoSenseAreNotShown(t *testing.T) {
	system := stagetest.New(t)
	system.Figure(`"nothing"`)
	states := watch[board.Summary](t, board.WatchSummary(system.Neighbours()))
	got := until(t, states, "the page says so", func(s board.Summary) bool { return s.Problem != "" })
	if got.Figures != nil {
		t.Errorf("shown %+v", got.Figures)
	}
}

func TestHealthTellsHowEveryServiceIs(t *testing.T) {
	system := stagetest.New(t)
	services := system.Neighbours()
	system.Fail(neighbours.Packing, "connection refused")
	system.Bury(neighbours.Dispatch, 2)
	system.Bury(neighbours.CRM, 101)
	system.Stop(neighbours.Catalog)
	got := map[string]board.ServiceHealth{}
	for _, s := range board.ReadHealth(t.Context(), services).Services {
		got[s.Service] = s
	}
	if len(got) != len(neighbours.Names()) {
		t.Errorf("%d services", len(got))
	}
	if s := got[neighbours.Order]; s.State != board.Ready || s.DeadLetters == nil || *s.DeadLetters != 0 || s.Failing != nil {
		t.Errorf("order: %+v", s)
	}
	if s := got[neighbours.Packing]; s.State != board.NotReady || len(s.Failing) != 1 || s.Failing[0].Detail != "connection refused" {
		t.Errorf("packing: %+v", s)
	}
	if s := got[neighbours.Dispatch]; *s.DeadLetters != 2 || s.MoreDeadLetters {
		t.Errorf("dispatch: %+v", s)
	}
	if s := got[neighbours.CRM]; *s.DeadLetters != 100 || !s.MoreDeadLetters {
		t.Errorf("crm: %+v", s)
	}
	if s := got[neighbours.Catalog]; s.State != board.Unreachable || s.DeadLetters != nil || s.Problem != "catalog does not answer: connection refused" {
		t.Errorf("catalog: %+v", s)
	}
}

func TestHealthChangesLive(t *testing.T) {
	system := stagetest.New(t)
	states := watch[board.Health](t, board.WatchHealth(system.Neighbours()))
	state := func(name, state string) func(board.Health) bool {
		return func(h board.Health) bool {
			for _, s := range h.Services {
				if s.Service == name {
					return s.State == state
				}
			}
			return false
		}
	}
	until(t, states, "packing is ready", state(neighbours.Packing, board.Ready))
	system.Stop(neighbours.Packing)
	until(t, states, "packing is gone", state(neighbours.Packing, board.Unreachable))
	system.Start(neighbours.Packing)
	until(t, states, "packing is back", state(neighbours.Packing, board.Ready))
}
