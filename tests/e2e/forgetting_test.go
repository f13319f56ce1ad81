package e2e

import (
	"bytes"
	"context"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/service"
	"orderflow/pkg/sqldb"
)

// person is somebody whose every field is found wherever it is.
type person struct {
	*customer
	traces []string // what must not be found when they are forgotten
	key    []byte   // what their fields are sealed with
}

// forgottenIsNowhere has somebody leave traces in every service, copies that a
// person has to look at, copies that nobody has asked for, and a read model that is
// being made anew. It forgets them, kills everything with the answer in its hands,
// and searches all there is. And once more after a restart, when an old event has
// come again, a service was added that is told everything, and the new read model
// is in its place.
func forgottenIsNowhere(w *world) {
	p := w.somebodyUnmistakable()
	w.Product("tea", 450, "EUR")
	sent, waiting := p.Orders(line("tea", 1)), p.Orders(line("tea", 2))
	for _, o := range []*order{sent, waiting} {
		w.Packer().Packs(o)
		w.Dispatcher().Sees(o, "ready")
	}
	w.Dispatcher().Dispatches(sent)
	sent.Becomes("dispatched")
	p.Moves(address{Line1: "Zwirnerpfad 4711", City: "Oberunterhausen", Postcode: "X9Q-77", Country: "AT"})
	p.changes(request{"customer", http.MethodPut, "/customers/" + p.CustomerID + "/contact", map[string]string{
		"name": "Xanthippe Zwickenborg", "email": "zwickenborg@unmistakable.example",
	}, nil})
	p.IsDeactivated("Frau Zwickenborg ist nach Hinterposemuckel gezogen")
	w.crmShows(p.customer, sent, "dispatched")
	// Copies in corners: one that no reader understands, one that nobody reads.
	w.aStrangerSays("customer.events.contact_changed.v1", p.CustomerID, `{"name":{"parked":"Xanthippe Quistenborg"},"email":17}`)
	w.aStrangerSays("customer.events.painted.v1", p.CustomerID, `{"portrait of":"Xanthippe Quistenborg"}`)
	w.Eventually("it is parked, and her new name has arrived", func() error {
		list, err := w.operator("list", "--subject", p.CustomerID, "--status", "parked")
		if err == nil && strings.Count(list, "contact_changed") < 2 {
			err = errors.New(list)
		}
		story, failed := fetch[struct{ Name, Status string }](w, "crm", "/customers/"+p.CustomerID)
		if story.Name != "Xanthippe Zwickenborg" || story.Status != "deactivated" {
			failed = errors.Join(failed, fmt.Errorf("crm shows %+v", story))
		}
		return errors.Join(err, failed)
	})
	w.aStrangerSays("customer.events.contact_changed.v1", p.CustomerID, `{"name":"Xanthippe Quistenborg","email":"q@unmistakable.example"}`)
	w.Eventually("crm shows what no history has", func() error {
		story, err := fetch[struct{ Name string }](w, "crm", "/customers/"+p.CustomerID)
		if err == nil && story.Name != "Xanthippe Quistenborg" {
			err = fmt.Errorf("crm shows %+v", story)
		}
		return err
	})
	w.rebuilds("crm", "check", "differs")
	w.analyses()
	found, err := w.search(p)
	if err != nil || len(found) < len(p.traces) {
		w.t.Fatalf("looked in the wrong places, or she has left too few traces: %v\n%s", err, strings.Join(found, "\n"))
	}

	for range 2 { // doing so twice changes nothing
		p.changes(request{"customer", http.MethodPost, "/customers/" + p.CustomerID + "/forget", nil, nil})
	}
	w.kill()
	w.start(w.t)
	w.isNowhere(p)
	w.isShownAsForgotten(p, sent, waiting)

	w.stop(w.t)
	w.start(w.t)
	w.isShownAsForgotten(p, sent, waiting)
	old := w.aStrangerSays("customer.events.created.v1", p.CustomerID, p.created())
	for _, reader := range []string{"order", "dispatch", "crm", "reporting"} {
		w.Eventually(reader+" has heard the old event", func() error { return w.hasHandled(reader, old) })
	}
	w.isNowhere(p)
	w.newcomersAreNotTold(p)
	w.rebuilds("crm", "anyway", "swapped")
	w.analyses()
	w.isNowhere(p)
	w.isShownAsForgotten(p, sent, waiting)
}

// rebuilds makes a read model anew, or goes on with the one that is being made.
func (w *world) rebuilds(owner, ask, status string) {
	w.t.Helper()
	type rebuilding struct{ Status, Reason, ReplayTo string }
	becomes := func(status ...string) (now rebuilding) {
		w.t.Helper()
		w.Eventually(fmt.Sprint("the read model of ", owner, " is ", status), func() (err error) {
			if now, err = fetch[rebuilding](w, owner, "/rebuild"); err == nil && !slices.Contains(status, now.Status) {
				err = fmt.Errorf("it is %+v", now)
			}
			return err
		})
		return now
	}
	if err := w.call(request{service: owner, method: http.MethodPost, path: "/rebuild"}).must(http.StatusOK); err != nil {
		w.t.Fatal(err)
	}
	w.historyTo(becomes("filling", "same", "differs").ReplayTo)
	a := w.call(request{service: owner, method: http.MethodPost, path: "/rebuild/finish", body: map[string]string{"ask": ask}})
	if err := a.must(http.StatusOK); err != nil {
		w.t.Fatal(err)
	}
	becomes(status)
}

// analyses has PostgreSQL look at the values in all tables, as it does by itself
// every now and then, and keep some of them for its planner.
func (w *world) analyses() {
	w.t.Helper()
	for service, url := range w.databases {
		if strings.HasPrefix(url, "postgres") {
			w.ask(service, func(db sqldb.DB) error {
				return db.Update(w.t.Context(), func(tx sqldb.Tx) error {
					_, err := tx.Exec(w.t.Context(), `ANALYSE`)
					return err
				})
			})
		}
	}
}

// newcomersAreNotTold adds a consumer that is told all that was ever announced of
// customers.
func (w *world) newcomersAreNotTold(p *person) {
	w.t.Helper()
	bus, err := service.OpenBus(w.t.Context(), w.bus, "newcomer", nil)
	if err != nil {
		w.t.Fatal(err)
	}
	late := &audit{seen: map[string]bool{}, live: map[string]bool{}}
	queue := "newcomer-" + w.scene
	subscription, err := bus.Subscribe(w.t.Context(), eventbus.Queue{Name: queue, Patterns: []string{"customer.events.#"}}, late.handle)
	if err != nil {
		w.t.Fatal(err)
	}
	w.historyTo(queue)
	want := "[customer.events.created.v1 customer.events.address_changed.v1 customer.events.contact_changed.v1 " +
		"customer.events.deactivated.v1 customer.events.forgotten.v1]"
	w.Eventually("the newcomer is told that there was somebody", func() error {
		types, live := late.about(p.CustomerID)
		if fmt.Sprint(types) != want || live {
			return fmt.Errorf("heard %v, live %t", types, live)
		}
		return nil
	})
	if err := errors.Join(subscription.Unsubscribe(w.t.Context()), bus.Close(w.t.Context())); err != nil {
		w.t.Fatal(err)
	}
	for _, e := range late.order {
		for _, text := range p.traces {
			if strings.Contains(strings.ToLower(string(e.Data)), strings.ToLower(text)) {
				w.t.Errorf("the newcomer was told: %s: %s", e.Type, e.Data)
			}
		}
	}
}

func (w *world) somebodyUnmistakable() *person {
	w.t.Helper()
	body := map[string]any{
		"name": "Xanthippe Quistenborg", "email": "quistenborg@unmistakable.example",
		"address": address{Line1: "Hasenwinkel 1234", Line2: "bei Gänsewein", City: "Kleinkleckersdorf", Postcode: "Y8R-66", Country: "AT"},
	}
	a := w.call(request{"customer", http.MethodPost, "/customers", body, nil})
	if err := a.must(http.StatusCreated); err != nil {
		w.t.Fatal(err)
	}
	c, err := parse[customer](a)
	if err != nil {
		w.t.Fatal(err)
	}
	c.w = w
	w.book.addCustomer(c.CustomerID)
	p := &person{customer: &c, traces: []string{
		"Xanthippe", "Quistenborg", "Hasenwinkel", "nsewein", "Kleinkleckersdorf", "Y8R-66",
		"Zwickenborg", "Zwirnerpfad", "Oberunterhausen", "X9Q-77", "Hinterposemuckel", "unmistakable",
	}}
	w.ask("customer", func(db sqldb.DB) error {
		return db.QueryRow(w.t.Context(), `SELECT secret FROM customer_key WHERE customer_id = $1`, p.CustomerID).Scan(&p.key)
	})
	return p
}

// created is the data of the event that told of her first.
func (p *person) created() string {
	text, err := json.Marshal(map[string]any{"customerId": p.CustomerID, "name": p.Name, "email": p.Email, "address": p.Address})
	if err != nil {
		p.w.t.Fatal(err)
	}
	return string(text)
}

// ask asks the database of a service.
func (w *world) ask(service string, question func(sqldb.DB) error) {
	w.t.Helper()
	db, err := sqldb.Open(w.t.Context(), w.databases[service])
	if err != nil {
		w.t.Fatal(err)
	}
	defer db.Close()
	if err := question(db); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) hasHandled(service, id string) (err error) {
	w.ask(service, func(db sqldb.DB) error {
		var n int
		if err := db.QueryRow(w.t.Context(), `SELECT count(*) FROM inbox WHERE id = $1`, id).Scan(&n); err != nil {
			return err
		}
		if n == 0 {
			err = errors.New("not yet")
		}
		return nil
	})
	return err
}

// isNowhere waits until nothing of somebody is left.
func (w *world) isNowhere(p *person) {
	w.t.Helper()
	w.Eventually("nothing of her is left", func() error {
		found, err := w.search(p)
		if len(found) > 0 {
			err = errors.Join(err, errors.New(strings.Join(found, "\n")))
		}
		return err
	})
}

func (w *world) isShownAsForgotten(p *person, sent, waiting *order) {
	w.t.Helper()
	for _, service := range []string{"customer", "crm"} {
		c := read[customer](w, service, "/customers/"+p.CustomerID)
		if c.Status != "forgotten" || c.Name != "forgotten" || c.Email != "" || c.Address != (address{}) {
			w.t.Errorf("%s shows %+v", service, c)
		}
	}
	for o, status := range map[*order]string{sent: "dispatched", waiting: "ready"} {
		s := read[struct {
			Status, Recipient string
			Address           address
		}](w, "dispatch", "/shipments/"+o.OrderID)
		if s.Status != status || s.Recipient != "forgotten" || s.Address != (address{}) {
			w.t.Errorf("dispatch shows %+v", s)
		}
	}
	for path, body := range map[string]any{
		"dispatch/shipments/" + waiting.OrderID + "/dispatch": map[string]string{"carrier": "DHL", "trackingNumber": "JD014"},
		"order/orders": p.orderBody(line("tea", 1)),
	} {
		service, path, _ := strings.Cut(path, "/")
		a := w.call(request{service, http.MethodPost, "/" + path, body, nil})
		if err := a.must(http.StatusConflict); err != nil || !strings.Contains(string(a.body), "customer-forgotten") {
			w.t.Errorf("%s does what only works with somebody: %v", service, err)
		}
	}
}

// search looks for traces of somebody in every file of the system, in every row
// of databases that are elsewhere, and in what the bus keeps for nobody, and
// returns where they are.
func (w *world) search(p *person) (found []string, err error) {
	note := func(where string, content []byte) {
		lower := bytes.ToLower(content)
		for _, text := range p.traces {
			text := strings.ToLower(text)
			if bytes.Contains(lower, []byte(text)) || bytes.Contains(lower, []byte(hex.EncodeToString([]byte(text)))) {
				found = append(found, text+" is in "+where)
			}
		}
		if bytes.Contains(content, p.key) || bytes.Contains(lower, []byte(hex.EncodeToString(p.key))) {
			found = append(found, "the key is in "+where)
		}
	}
	err = filepath.WalkDir(w.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return ignoreGone(err)
		}
		content, err := os.ReadFile(path)
		note(path, content)
		return ignoreGone(err)
	})
	for service, url := range w.databases {
		if err == nil && !strings.HasPrefix(url, "sqlite:") && url != "" {
			err = w.rows(url, func(table, row string) { note(service+"."+table, []byte(row)) })
		}
	}
	if err == nil && !strings.HasPrefix(w.bus, "sqlite:") {
		err = w.kept(note)
	}
	return found, err
}

// ignoreGone lets files come and go while they are searched.
func ignoreGone(err error) error {
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// rows shows every row of a PostgreSQL database as text, and what its planner
// keeps of them.
func (w *world) rows(url string, show func(table, row string)) error {
	ctx := w.t.Context()
	db, err := sqldb.Open(ctx, url)
	if err != nil {
		return err
	}
	defer db.Close()
	text := func(r sqldb.Row) (text string, err error) { return text, r.Scan(&text) }
	list, err := db.Query(ctx, `SELECT format('%I.%I', table_schema, table_name) FROM information_schema.tables
		WHERE table_schema NOT IN ('pg_catalog', 'information_schema') AND table_type = 'BASE TABLE'`)
	if err != nil {
		return err
	}
	tables, err := sqldb.Collect(list, text)
	if err != nil {
		return err
	}
	for _, table := range append(tables, "pg_catalog.pg_stats") {
		list, err := db.Query(ctx, `SELECT t::text FROM `+table+` AS t`)
		if err != nil {
			return err
		}
		rows, err := sqldb.Collect(list, text)
		if err != nil {
			return err
		}
		for _, row := range rows {
			show(table, row)
		}
	}
	return nil
}

// kept shows what a broker keeps because nobody asked for it. It stays there.
func (w *world) kept(show func(where string, content []byte)) error {
	bus, err := service.OpenBus(w.t.Context(), w.bus, "searcher", nil)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	for _, queue := range []string{eventbus.Unrouted, eventbus.Unrouted + eventbus.DeadSuffix} {
		_, failed := bus.Erase(ctx, queue, func(d eventbus.Delivery) bool {
			show(queue, d.Event.Data)
			return false
		})
		err = errors.Join(err, failed)
	}
	return errors.Join(err, bus.Close(ctx))
}
