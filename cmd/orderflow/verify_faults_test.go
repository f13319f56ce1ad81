package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"orderflow/cmd/orderflow/internal/client"
	"orderflow/cmd/orderflow/internal/verify"
	"orderflow/pkg/cause"
	"orderflow/pkg/sqldb"
)

// planting makes faults of every kind in every table that says something about
// what was committed.
type planting struct {
	*shop
	w *world
	// orders are those that no fault is about yet, by what became of them.
	orders map[string][]string
	// second has ordered nothing, gone is forgotten and has ordered goneOrder.
	second, gone, goneOrder string
	want                    []verify.Difference
}

// How many orders there are of each kind, besides the one of a customer who is
// forgotten, which was dispatched.
const (
	manyPlaced = 18
	each       = 10
)

// prepare makes what is spoilt later.
func (p *planting) prepare() {
	for _, sku := range []string{"mug", "cup", "pot"} {
		p.must(p.ListProduct(p.t.Context(), client.Product{SKU: sku, Name: "The " + sku, Price: client.Money{Amount: 500, Currency: "EUR"}}))
	}
	p.must(p.ChangePrice(p.t.Context(), "pot", client.Money{Amount: 600, Currency: "EUR"}))
	for _, kind := range []string{"placed", "packed", "dispatched", "cancelled", "rejected"} {
		for range manyPlaced {
			if kind == "placed" || len(p.orders[kind]) < each {
				p.orders[kind] = append(p.orders[kind], p.order(kind))
			}
		}
	}
	p.second = p.register()
	first := p.customer
	p.customer = p.register()
	p.gone, p.goneOrder = p.customer, p.order("dispatched")
	p.customer = first
	p.must(p.Forget(p.t.Context(), p.gone))
}

// next is an order that no other fault is about.
func (p *planting) next(kind string) string {
	id := p.orders[kind][0]
	p.orders[kind] = p.orders[kind][1:]
	return id
}

// change runs a statement that has to change something.
func (p *planting) change(service, statement string, args ...any) {
	p.t.Helper()
	err := p.w.database(service).Update(p.t.Context(), func(tx sqldb.Tx) error {
		n, err := tx.Exec(p.t.Context(), statement, args...)
		if err == nil && n == 0 && !strings.Contains(statement, " TABLE ") {
			err = errors.New("nothing was changed")
		}
		return err
	})
	if err != nil {
		p.t.Fatalf("the test is wrong: %s: %s: %v", service, statement, err)
	}
}

// text is what a statement finds in the database of a service.
func (p *planting) text(service, statement string, args ...any) (found string) {
	p.t.Helper()
	if err := p.w.database(service).QueryRow(p.t.Context(), statement, args...).Scan(&found); err != nil {
		p.t.Fatalf("the test is wrong: %s: %s: %v", service, statement, err)
	}
	return found
}

// expect says how the fault that was planted last is told.
func (p *planting) expect(service string, problem verify.Problem, kind, subject, field, is, should string) {
	p.want = append(p.want, verify.Difference{Service: service, Problem: problem, Kind: kind, Subject: subject, Field: field, Is: is, Should: should})
}

// withoutKey takes the primary key from a table, so that it takes rows twice.
func (p *planting) withoutKey(service, table string) {
	p.change(service, `CREATE TABLE copy AS SELECT * FROM `+table)
	p.change(service, `DROP TABLE `+table)
	p.change(service, `ALTER TABLE copy RENAME TO `+table)
}

// plant makes all faults and returns how they have to be told.
func (p *planting) plant() []verify.Difference {
	p.catalog()
	p.listOfOrders()
	p.copies()
	p.deadlines()
	p.announcements()
	p.outboxes()
	p.jobs()
	p.shipments()
	p.stories()
	p.mails()
	p.figures()
	return p.want
}

func (p *planting) catalog() {
	p.change("catalog", `UPDATE product SET name = 'Another' WHERE sku = 'mug'`)
	p.expect("order", verify.Different, "product", "mug", "name", "The mug", "Another")

	id := p.text("catalog", `SELECT id FROM outbox WHERE subject = 'cup'`)
	p.change("catalog", `DELETE FROM product WHERE sku = 'cup'`)
	p.expect("order", verify.Unfounded, "product", "cup", "", "", "")
	p.expect("catalog", verify.Uncommitted, "product", "cup", "catalog.events.product_listed.v1 "+id, "", "")

	p.change("catalog", `DELETE FROM outbox WHERE subject = 'pot' AND sequence = 1`)
	p.expect("catalog", verify.Unannounced, "product", "pot", "sequence 1", "", "")

	p.withoutKey("catalog", "product")
	p.change("catalog", `INSERT INTO product SELECT * FROM product WHERE sku = 'pot'`)
	p.expect("catalog", verify.Double, "product", "pot", "rows", "2", "1")
}

func (p *planting) listOfOrders() {
	a, b, c, d := p.next("placed"), p.next("packed"), p.next("dispatched"), uuid.NewString()
	p.change("order", `DELETE FROM order_list WHERE order_id = $1`, a)
	p.expect("order", verify.Missing, "order", a, "", "", "")
	p.change("order", `UPDATE order_list SET state = replace(state, '"amount":1980', '"amount":1981') WHERE order_id = $1`, b)
	p.expect("order", verify.Different, "order", b, "total", "1981 EUR", "1980 EUR")
	p.change("order", `UPDATE order_list SET version = version + 5 WHERE order_id = $1`, c)
	p.expect("order", verify.Ahead, "order", c, "lastSequence", "7", "2")
	p.change("order", `INSERT INTO order_list (order_id, customer_id, status, placed_at, version, state, written_at)
		SELECT CAST($2 AS TEXT), customer_id, status, placed_at, version, state, 1 FROM order_list WHERE order_id = $1`, c, d)
	p.expect("order", verify.Unfounded, "order", d, "", "", "")

	// What lists are selected by.
	a, b = p.next("placed"), p.next("placed")
	p.change("order", `UPDATE order_list SET status = 'packed' WHERE order_id = $1`, a)
	p.expect("order", verify.Different, "order", a, "status", "packed", "placed")
	p.change("order", `UPDATE order_list SET customer_id = $2 WHERE order_id = $1`, b, p.second)
	p.expect("order", verify.Different, "order", b, "customer", p.second, p.customer)
}

func (p *planting) copies() {
	p.change("order", `DELETE FROM customer_copy WHERE customer_id = $1`, p.second)
	p.expect("order", verify.Missing, "customer", p.second, "", "", "")
	p.change("order", `UPDATE customer_copy SET forgotten = 0 WHERE customer_id = $1`, p.gone)
	p.expect("order", verify.Different, "customer", p.gone, "status", "active", "forgotten")
	nobody := uuid.NewString()
	p.change("order", `INSERT INTO customer_copy (customer_id, created) VALUES ($1, 1)`, nobody)
	p.expect("order", verify.Unfounded, "customer", nobody, "", "", "")
	p.change("order", `UPDATE product_copy SET price_amount = 1, name = 'Coffee' WHERE sku = $1`, p.sku)
	p.expect("order", verify.Different, "product", p.sku, "price", "1 EUR", "990 EUR")
	p.expect("order", verify.Different, "product", p.sku, "name", "Coffee", "Tea")
}

func (p *planting) deadlines() {
	a, b, c, nobody := p.next("placed"), p.next("packed"), p.next("dispatched"), uuid.NewString()
	p.change("order", `DELETE FROM fulfilment_deadline WHERE order_id = $1`, a)
	p.expect("order", verify.Missing, "deadline", a, "", "", "")
	should := p.deadline(b)
	p.change("order", `UPDATE fulfilment_deadline SET due_at = 1000000 WHERE order_id = $1`, b)
	p.expect("order", verify.Different, "deadline", b, "dueAt", "1970-01-01T00:00:01.000000Z", should)
	for _, id := range []string{c, nobody} {
		p.change("order", `INSERT INTO fulfilment_deadline (order_id, kind, due_at, try_at, correlation_id, traceparent, written_at)
			VALUES ($1, 'pack-overdue', 8000000000000000, 8000000000000000, '', '', 1)`, id)
	}
	p.expect("order", verify.Unfounded, "deadline", c, "status", "pack-overdue", "")
	p.expect("order", verify.Unfounded, "deadline", nobody, "", "", "")
}

// deadline is when the deadline of an order is due, as its row says.
func (p *planting) deadline(order string) string {
	rows, err := p.LedgerOf(p.t.Context(), "order", order)
	p.must(err)
	for _, row := range rows {
		if row.Kind == "deadline" {
			return row.Facts["dueAt"]
		}
	}
	return ""
}

func (p *planting) announcements() {
	const placedV1, placedV2 = "order.events.placed.v1", "order.events.placed.v2"
	say := func(id, order, cause string) {
		p.change("order", `INSERT INTO relay_published (id, name, type, subject, sequence, correlation_id, causation_id, published_at)
			VALUES ($1, 'order', '`+placedV1+`', $2, 0, '', $3, 1)`, id, order, cause)
	}
	a, b, c, d, nobody := p.next("placed"), p.next("placed"), p.next("placed"), p.next("placed"), uuid.NewString()
	p.change("order", `DELETE FROM relay_published WHERE subject = $1`, a)
	for _, typ := range []string{placedV1, placedV2} {
		p.expect("order", verify.Unannounced, "order", a, typ+" "+p.announcement(a, typ), "", "")
	}
	p.change("order", `DELETE FROM relay_published WHERE subject = $1 AND type = $2`, b, placedV2)
	p.expect("order", verify.Unannounced, "order", b, placedV2+" "+p.announcement(b, placedV2), "", "")
	say(nobody, nobody, nobody)
	p.expect("order", verify.Uncommitted, "order", nobody, placedV1+" "+nobody, "", "")
	again := uuid.NewString()
	say(again, c, p.event(c))
	p.expect("order", verify.Double, "order", c, placedV1+" "+again, "2", "1")
	p.change("order", `UPDATE relay_published SET sequence = 9 WHERE subject = $1 AND type = $2`, d, placedV1)
	p.expect("order", verify.Different, "order", d, "sequence of "+placedV1+" "+p.announcement(d, placedV1), "9", "0")

	// Whoever is not told that somebody is forgotten keeps what they know.
	const forgottenV1 = "customer.events.forgotten.v1"
	id := p.text("customer", `SELECT id FROM relay_published WHERE subject = $1 AND type = $2`, p.gone, forgottenV1)
	p.change("customer", `DELETE FROM relay_published WHERE id = $1`, id)
	p.expect("customer", verify.Unannounced, "customer", p.gone, forgottenV1+" "+id, "", "")
}

// announcement is the id under which the first event of an order is announced.
func (p *planting) announcement(order, typ string) string {
	return cause.IntegrationID(uuid.MustParse(p.event(order)), typ).String()
}

func (p *planting) outboxes() {
	const packedV1, dispatchedV1, rejectedV1 = "packing.events.packed.v1", "dispatch.events.dispatched.v1", "packing.events.rejected.v1"
	say := func(service, typ, order string) string {
		id := uuid.NewString()
		p.change(service, `INSERT INTO outbox (id, source, type, subject, time, content_type, data, correlation_id, causation_id, trace_parent,
				sequence, request, requested_at, added_at, sent_at, announced)
			SELECT $1, '/orderflow/`+service+`', '`+typ+`', $2, 1, '', data, '', '', '', 1, '', 1, 1, 1, (SELECT max(announced) FROM outbox) + 1
			FROM outbox WHERE announced = 1`, id, order)
		return typ + " " + id
	}
	a, b, c, d, nobody := p.next("packed"), p.next("packed"), p.next("placed"), p.next("rejected"), uuid.NewString()
	for service, gone := range map[string][2]string{"packing": {a, packedV1}, "dispatch": {p.next("dispatched"), dispatchedV1}} {
		id := p.text(service, `SELECT id FROM outbox WHERE subject = $1`, gone[0])
		p.change(service, `DELETE FROM outbox WHERE id = $1`, id)
		p.expect(service, verify.Unannounced, "order", gone[0], gone[1]+" "+id, "", "")
	}
	id := p.text("packing", `SELECT id FROM outbox WHERE subject = $1`, d)
	p.change("packing", `DELETE FROM outbox WHERE id = $1`, id)
	p.expect("packing", verify.Unannounced, "order", d, rejectedV1+" "+id, "", "")
	p.expect("packing", verify.Double, "order", b, say("packing", packedV1, b), "2", "1")
	p.expect("packing", verify.Unrecorded, "order", c, say("packing", packedV1, c), "", "")
	p.expect("dispatch", verify.Uncommitted, "order", nobody, say("dispatch", dispatchedV1, nobody), "", "")
}

func (p *planting) jobs() {
	a, b, c, nobody := p.next("placed"), p.next("packed"), p.next("cancelled"), uuid.NewString()
	p.change("packing", `DELETE FROM job WHERE order_id = $1`, a)
	p.expect("packing", verify.Missing, "order", a, "", "", "")
	p.change("packing", `UPDATE job SET lines = replace(lines, '"quantity":2', '"quantity":3') WHERE order_id = $1`, b)
	p.expect("packing", verify.Different, "order", b, "lines", "3 tea", "2 tea")
	p.expect("packing", verify.Different, "order", b, "names", "3 Tea", "2 Tea")
	p.change("packing", `UPDATE job SET order_sequence = 40 WHERE order_id = $1`, c)
	p.expect("packing", verify.Ahead, "order", c, "lastSequence", "40", "1")
	p.change("packing", `INSERT INTO job (order_id, version, status, customer_id, lines, placed_at, correlation_id, cancelled_at, packed_at, packed_by, rejected_at, reason, order_sequence, changed_at)
		SELECT CAST($2 AS TEXT), version, status, customer_id, lines, placed_at, correlation_id, cancelled_at, packed_at, packed_by, rejected_at, reason, order_sequence, 1 FROM job WHERE order_id = $1`, c, nobody)
	p.expect("packing", verify.Unfounded, "order", nobody, "", "", "")

	a, b = p.next("rejected"), p.next("placed")
	p.expect("packing", verify.Different, "order", a, "cancelledAt", "", p.fact("crm", a, "cancelledAt"))
	p.change("packing", `UPDATE job SET cancelled_at = 0 WHERE order_id = $1`, a)
	p.change("packing", `UPDATE job SET status = 'packed' WHERE order_id = $1`, b) // nobody sees it in the worklist
	p.expect("packing", verify.Different, "order", b, "status", "packed", "pending")

	p.withoutKey("packing", "job")
	a = p.next("dispatched")
	p.change("packing", `INSERT INTO job SELECT * FROM job WHERE order_id = $1`, a)
	p.expect("packing", verify.Double, "order", a, "rows", "2", "1")
}

func (p *planting) shipments() {
	a, b, c, d := p.next("packed"), p.next("dispatched"), p.next("placed"), p.next("packed")
	p.change("dispatch", `DELETE FROM shipment WHERE order_id = $1`, a)
	p.expect("dispatch", verify.Missing, "order", a, "", "", "")
	p.expect("dispatch", verify.Different, "order", b, "dispatchedAt", "", p.fact("crm", b, "dispatchedAt"))
	p.change("dispatch", `UPDATE shipment SET dispatched_at = 0 WHERE order_id = $1`, b)
	p.change("dispatch", `INSERT INTO shipment (order_id, version, status, customer_id, packed_at, correlation_id, cancelled_at, dispatched_at, carrier, tracking_number, recipient, address, packing_sequence, changed_at)
		SELECT CAST($2 AS TEXT), version, 'ready', customer_id, packed_at, correlation_id, cancelled_at, 0, '', '', '', '', packing_sequence, 1 FROM shipment WHERE order_id = $1`, b, c)
	p.expect("dispatch", verify.Unfounded, "order", c, "status", "ready", "")
	p.change("dispatch", `UPDATE shipment SET status = 'dispatched' WHERE order_id = $1`, d) // nobody sees it among those that are ready
	p.expect("dispatch", verify.Different, "order", d, "status", "dispatched", "ready")

	p.change("dispatch", `UPDATE customer SET address_sequence = 9, name = '' WHERE customer_id = $1`, p.second)
	p.expect("dispatch", verify.Ahead, "customer", p.second, "lastSequence", "9", "0")
	p.expect("dispatch", verify.Different, "customer", p.second, "personal", "part", "whole")
	p.change("dispatch", `UPDATE shipment SET recipient = 'Ada Lovelace' WHERE order_id = $1`, p.goneOrder)
	p.expect("dispatch", verify.Different, "customer", p.gone, "personal", "part", "")
}

func (p *planting) stories() {
	a, b, c, nobody := p.next("placed"), p.next("packed"), p.next("packed"), uuid.NewString()
	p.change("crm", `DELETE FROM customer_order WHERE order_id = $1`, a)
	p.expect("crm", verify.Missing, "order", a, "", "", "")
	p.change("crm", `UPDATE customer_order SET total_amount = total_amount + 1 WHERE order_id = $1`, b)
	p.expect("crm", verify.Different, "order", b, "total", "1981 EUR", "1980 EUR")
	p.change("crm", `UPDATE customer_order SET packing_delayed_at = 1000000, lines = replace(lines, 'Tea', 'Tee') WHERE order_id = $1`, c)
	p.expect("crm", verify.Different, "order", c, "names", "2 Tee", "2 Tea")
	p.expect("crm", verify.Different, "order", c, "packingDelayedAt", "1970-01-01T00:00:01.000000Z", "")
	p.change("crm", `INSERT INTO customer (customer_id, registered_at, name, email, contact_sequence, address, address_sequence, deactivated_at, deactivation_reason, last_sequence, written_at)
		SELECT CAST($2 AS TEXT), registered_at, name, email, contact_sequence, address, address_sequence, 0, '', last_sequence, 1 FROM customer WHERE customer_id = $1`, p.customer, nobody)
	p.expect("crm", verify.Unfounded, "customer", nobody, "", "", "")
	p.change("crm", `UPDATE customer SET email = '', deactivated_at = 1 WHERE customer_id = $1`, p.second)
	p.expect("crm", verify.Different, "customer", p.second, "status", "deactivated", "active")
	p.expect("crm", verify.Different, "customer", p.second, "personal", "part", "whole")
}

func (p *planting) mails() {
	write := func(mail, order, kind, of string) {
		p.change("crm", `INSERT INTO mail (mail_id, order_id, customer_id, kind, status, recipient, attempts, due_at, reason, correlation_id, causation_id, written_at, settled_at)
			SELECT CAST($1 AS TEXT), CAST($2 AS TEXT), customer_id, CAST($3 AS TEXT), status, recipient, attempts, due_at, reason, correlation_id, causation_id, written_at, settled_at
			FROM mail WHERE order_id = $4 AND kind = 'order-confirmation'`, mail, order, kind, of)
	}
	a, b, c, nobody := p.next("cancelled"), p.next("rejected"), p.next("placed"), uuid.NewString()
	write("another", a, "order-cancelled", a)
	p.expect("crm", verify.Double, "order", a, "mail order-cancelled", "2", "1")
	p.change("crm", `DELETE FROM mail WHERE order_id = $1 AND kind = 'order-confirmation'`, b)
	p.expect("crm", verify.Missing, "order", b, "mail order-confirmation", "", "")
	write("too soon", c, "order-packing-delayed", c)
	p.expect("crm", verify.Unfounded, "order", c, "mail order-packing-delayed", "", "")
	write("stray", nobody, "order-confirmation", c)
	p.expect("crm", verify.Unfounded, "mail", nobody, "", "", "")
	p.change("crm", `UPDATE mail SET recipient = 'ada@example.org' WHERE order_id = $1`, p.goneOrder)
	p.expect("crm", verify.Different, "customer", p.gone, "personal", "part", "")
}

func (p *planting) figures() {
	a, b, c := p.next("placed"), p.next("dispatched"), p.next("cancelled")
	p.change("reporting", `DELETE FROM order_fact WHERE order_id = $1`, a)
	p.expect("reporting", verify.Missing, "order", a, "", "", "")
	p.change("reporting", `UPDATE order_fact SET amount = amount - 1 WHERE order_id = $1`, b)
	p.expect("reporting", verify.Different, "order", b, "total", "1979 EUR", "1980 EUR")
	p.change("reporting", `UPDATE order_fact SET returned_at = 1000000 WHERE order_id = $1`, c)
	p.expect("reporting", verify.Different, "order", c, "returnedAt", "1970-01-01T00:00:01.000000Z", "")
	p.change("reporting", `DELETE FROM customer WHERE customer_id = $1`, p.second)
	p.expect("reporting", verify.Missing, "customer", p.second, "", "", "")
	p.change("reporting", `INSERT INTO price (sku, amount, currency, changed_at, last_sequence) VALUES ('nothing', 1, 'EUR', 1, 1)`)
	p.expect("reporting", verify.Unfounded, "product", "nothing", "", "", "")

	p.change("reporting", `INSERT INTO movement (figure, slot, currency, orders, amount) SELECT 'placed', max(slot), 'EUR', 1, 50 FROM total WHERE figure = 'placed'`)
	p.change("reporting", `INSERT INTO movement (figure, slot, currency, orders, amount) VALUES ('returned', 0, '', 3, 0)`)
	const orders, revenue = manyPlaced + 4*each + 1, (manyPlaced + 2*each + 1) * 1980
	sum := func(where, what string, is, should int) {
		p.expect("reporting", verify.Different, "sum", where, what, fmt.Sprint(is), fmt.Sprint(should))
	}
	today := time.Now().UTC().Format(time.DateOnly)
	sum("summary", "orders that are placed", manyPlaced+1, manyPlaced)
	sum("summary", "orders that were returned", 3, 0)
	sum("summary", "revenue in EUR", revenue+50, revenue)
	sum(today, "orders", orders+1, orders)
	sum(today, "revenue in EUR", revenue+50, revenue)
}

// event is the id of the first event of an order.
func (s *shop) event(order string) string {
	s.t.Helper()
	trace, err := s.Trace(s.t.Context(), "order", order)
	s.must(err)
	for _, item := range trace {
		if item.Kind == "appended" {
			return item.ID
		}
	}
	s.t.Fatalf("nothing was committed of %s", order)
	return ""
}

// fact is what the row of a service says about an order.
func (s *shop) fact(service, order, name string) string {
	s.t.Helper()
	rows, err := s.LedgerOf(s.t.Context(), service, order)
	s.must(err)
	if len(rows) != 1 {
		s.t.Fatalf("%d rows of %s", len(rows), order)
	}
	return rows[0].Facts[name]
}
