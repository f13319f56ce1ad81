package e2e

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"sync"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/service"
)

// publishers are the services that have history to tell.
var publishers = []string{"customer", "catalog", "order", "packing", "dispatch"}

// audit is a service that comes late: it notes each event once, as an inbox does.
type audit struct {
	mu    sync.Mutex
	order []eventbus.Event
	seen  map[string]bool
	live  map[string]bool
}

func (a *audit) handle(_ context.Context, batch []eventbus.Delivery) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, d := range batch {
		if !d.Event.Replayed {
			a.live[d.Event.ID] = true
		}
		if !a.seen[d.Event.ID] {
			a.seen[d.Event.ID] = true
			a.order = append(a.order, d.Event)
		}
	}
	return nil
}

// about lists the types of what it has heard about a subject, in that order.
func (a *audit) about(subject string) (types []string, live bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.order {
		if e.Subject == subject {
			types = append(types, e.Type)
			live = live || a.live[e.ID]
		}
	}
	return types, live
}

// addedServiceIsTold adds a consumer to the running system, has it told what was
// announced before it came, and lets it hear what comes then.
func addedServiceIsTold(w *world) {
	anna := w.Customer("Anna")
	w.Product("tea", 450, "EUR")
	old := anna.Orders(line("tea", 1))
	w.Packer().Packs(old)
	w.Dispatcher().Dispatches(old)
	old.Becomes("dispatched")

	bus, err := service.OpenBus(w.t.Context(), w.bus, "audit", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	late := &audit{seen: map[string]bool{}, live: map[string]bool{}}
	queue := "audit-" + w.scene
	subscription, err := bus.Subscribe(w.t.Context(), eventbus.Queue{Name: queue, Patterns: []string{"#"}}, late.handle)
	if err != nil {
		w.t.Fatal(err)
	}
	w.t.Cleanup(func() {
		if err := subscription.Unsubscribe(context.Background()); err != nil {
			w.t.Error(err)
		}
		if err := bus.Close(context.Background()); err != nil {
			w.t.Error(err)
		}
	})
	w.historyTo(queue)
	wholeStory := "[order.events.placed.v1 order.events.placed.v2 packing.events.packed.v1 dispatch.events.dispatched.v1]"
	w.Eventually("the late one knows the old order", func() error {
		types, live := late.about(old.OrderID)
		if len(types) < 4 {
			return fmt.Errorf("heard %v", types)
		}
		slices.Sort(types) // each service tells its own history
		if fmt.Sprint(types) != "[dispatch.events.dispatched.v1 order.events.placed.v1 order.events.placed.v2 packing.events.packed.v1]" || live {
			return final{fmt.Errorf("heard %v, live %t", types, live)}
		}
		return nil
	})
	young := anna.Orders(line("tea", 2))
	w.Packer().Packs(young)
	w.Dispatcher().Dispatches(young)
	w.Eventually("the late one hears of a new order", func() error {
		if types, live := late.about(young.OrderID); fmt.Sprint(types) != wholeStory || !live {
			return fmt.Errorf("heard %v, live %t", types, live)
		}
		return nil
	})
}

// historyTo has every publisher tell a queue its history, and waits for the end.
func (w *world) historyTo(queue string) {
	w.t.Helper()
	type replay struct {
		ReplayID, Status, Reason string
	}
	for _, publisher := range publishers {
		a := w.call(request{service: publisher, method: http.MethodPost, path: "/replays", body: map[string]string{"to": queue}})
		if err := a.must(http.StatusOK); err != nil {
			w.t.Fatal(err)
		}
		begun, err := parse[replay](a)
		if err != nil {
			w.t.Fatal(err)
		}
		w.Eventually(publisher+" has told its history", func() error {
			now, err := fetch[replay](w, publisher, "/replays/"+begun.ReplayID)
			if err == nil && now.Status != "done" {
				err = fmt.Errorf("it is %+v", now)
			}
			return err
		})
	}
}

// readModelsAreRebuilt makes three read models anew while orders are placed; that
// everything still adds up is looked at in the end.
func readModelsAreRebuilt(w *world) {
	type rebuilding struct {
		Status, Reason, ReplayTo string
		Compared                 int
		Differences              []map[string]string
	}
	anna := w.Customer("Anna")
	w.Product("pot", 990, "EUR")
	first := anna.Orders(line("pot", 1))
	w.Packer().Packs(first)
	crowd := newCrowd(w, 60)
	crowd.reaches(5)
	for _, owner := range []string{"order", "reporting", "crm"} {
		becomes := func(status string) rebuilding {
			var now rebuilding
			w.Eventually("the read model of "+owner+" is "+status, func() error {
				var err error
				if now, err = fetch[rebuilding](w, owner, "/rebuild"); err == nil && now.Status != status {
					err = fmt.Errorf("it is %+v", now)
				}
				return err
			})
			return now
		}
		if err := w.call(request{service: owner, method: http.MethodPost, path: "/rebuild"}).must(http.StatusOK); err != nil {
			w.t.Fatal(err)
		}
		if to := becomes("filling").ReplayTo; to != "" {
			w.historyTo(to)
		}
		a := w.call(request{service: owner, method: http.MethodPost, path: "/rebuild/finish", body: map[string]string{"ask": "anyway"}})
		if err := a.must(http.StatusOK); err != nil {
			w.t.Fatal(err)
		}
		now := becomes("swapped")
		if now.Compared == 0 {
			w.t.Errorf("%s: %+v", owner, now)
		}
		for _, d := range now.Differences {
			// What a stranger has said is in no history, and is gone.
			a := w.call(request{service: "order", method: http.MethodGet, path: "/orders/" + d["key"]})
			if err := a.must(http.StatusNotFound); err != nil || d["what"] != "is in the live model only" && d["table"] != "inbox" {
				w.t.Errorf("%s: %v, %v", owner, d, err)
			}
		}
	}
	if err := w.call(request{service: "packing", method: http.MethodPost, path: "/rebuild"}).must(http.StatusConflict); err != nil {
		w.t.Error(err) // what it keeps is state, and no read model
	}
	crowd.wait()
}
