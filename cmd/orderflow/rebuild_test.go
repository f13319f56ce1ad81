package main

import (
	"slices"
	"strings"
	"testing"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

func TestReadModelsAreRebuiltBesideTheLiveOnesAndAnnounceNothing(t *testing.T) {
	w := newWorld(t)
	if s := w.orderflow("rebuild", "crm"); s.code != 1 || !strings.Contains(s.err, "nothing is up") {
		t.Errorf("before anything is up: %+v", s)
	}
	w.must("up")
	w.must("demo")
	audit := w.audited()
	crm, reporting, order, dispatch := w.database("crm"), w.database("reporting"), w.database("order"), w.database("dispatch")
	eventually(t, "reporting has the last event", func() bool {
		return sqldbtest.Count(t, reporting, `SELECT count(*) FROM order_fact WHERE dispatched_at > 0`) == 1
	})
	mails := sqldbtest.Count(t, crm, `SELECT count(*) FROM mail`)
	before, _ := audit.heard()

	for service, rows := range map[string]string{"order": " rows compared, 0 differ", "dispatch": "1 rows compared, 0 differ", "reporting": " rows compared, 0 differ", "crm": " rows compared, 0 differ"} {
		if out := w.must("rebuild", service, "--check"); !strings.Contains(out, rows) {
			t.Errorf("%s:\n%s", service, out)
		}
	}
	// A fault in any table of them is found.
	for _, fault := range []struct {
		service  string
		db       sqldb.DB
		do, undo string
		told     string
	}{
		{
			"order", order, `UPDATE order_list SET version = version + 5 WHERE status = 'dispatched'`,
			`UPDATE order_list SET version = version - 5 WHERE status = 'dispatched'`, "order_list",
		},
		{
			"order", order, `UPDATE customer_copy SET deactivated = 1`,
			`UPDATE customer_copy SET deactivated = 0`, `deactivated is "1", and should be "0"`,
		},
		{
			"order", order, `UPDATE product_copy SET name = name || 'x'`,
			`UPDATE product_copy SET name = substr(name, 1, length(name) - 1)`, "product_copy",
		},
		{
			"dispatch", dispatch, `UPDATE customer SET name = name || 'x'`,
			`UPDATE customer SET name = substr(name, 1, length(name) - 1)`, "name is not what it should be",
		},
		{
			"reporting", reporting, `UPDATE order_fact SET returned_at = 7 WHERE dispatched_at > 0`,
			`UPDATE order_fact SET returned_at = 0 WHERE dispatched_at > 0`, `returned_at is "7", and should be "0"`,
		},
		{
			"reporting", reporting, `UPDATE total SET amount = amount + 1 WHERE figure = 'all-dispatched'`,
			`UPDATE total SET amount = amount - 1 WHERE figure = 'all-dispatched'`, "total all-dispatched",
		},
		{
			"reporting", reporting, `UPDATE customer SET last_sequence = last_sequence + 1`,
			`UPDATE customer SET last_sequence = last_sequence - 1`, "last_sequence is",
		},
		{
			"crm", crm, `UPDATE customer_order SET dispatch_delayed_at = 7 WHERE dispatched_at > 0`,
			`UPDATE customer_order SET dispatch_delayed_at = 0 WHERE dispatched_at > 0`, `dispatch_delayed_at is "7", and should be "0"`,
		},
		{"crm", crm, `UPDATE customer SET forgotten_at = 7`, `UPDATE customer SET forgotten_at = 0`, `forgotten_at is "7", and should be "0"`},
	} {
		sqldbtest.Exec(t, fault.db, fault.do)
		s := w.orderflow("rebuild", fault.service, "--check")
		if s.code != 1 || !strings.Contains(s.out, fault.told) || !strings.Contains(s.err, "differs") {
			t.Errorf("%s after %s: %+v", fault.service, fault.do, s)
		}
		sqldbtest.Exec(t, fault.db, fault.undo)
	}
	// And mended when that is asked for.
	sqldbtest.Exec(t, order, `UPDATE order_list SET status = 'placed' WHERE status = 'dispatched'`)
	sqldbtest.Exec(t, reporting, `UPDATE order_fact SET amount = amount + 1 WHERE dispatched_at > 0`)
	sqldbtest.Exec(t, crm, `DELETE FROM customer_order WHERE dispatched_at > 0`)
	// The totals of before are not those of an amount that was changed.
	differ := map[string]string{"order": " 1 differ", "reporting": " 3 differ", "crm": " 1 differ"}
	for service, fault := range map[string]string{
		"order": `status is "placed", and should be "dispatched"`, "reporting": "amount is", "crm": "is missing in the live model",
	} {
		s := w.orderflow("rebuild", service, "--check")
		if s.code != 1 || !strings.Contains(s.out, fault) || !strings.Contains(s.out, differ[service]) || !strings.Contains(s.err, "differs") {
			t.Errorf("%s is checked: %+v", service, s)
		}
		s = w.orderflow("rebuild", service)
		if s.code != 1 || !strings.Contains(s.out, fault) || !strings.Contains(s.err, "--anyway") {
			t.Errorf("%s is rebuilt: %+v", service, s)
		}
	}
	if n := sqldbtest.Count(t, crm, `SELECT count(*) FROM customer_order WHERE dispatched_at > 0`); n != 0 {
		t.Error("the model was swapped although it differs")
	}
	for _, service := range []string{"order", "reporting", "crm"} {
		if out := w.must("rebuild", service, "--anyway"); !strings.Contains(out, differ[service]) || !strings.Contains(out, "is the new one") {
			t.Errorf("%s is swapped:\n%s", service, out)
		}
		if out := w.must("rebuild", service); !strings.Contains(out, " 0 differ") || !strings.Contains(out, "is the new one") {
			t.Errorf("%s is swapped again:\n%s", service, out)
		}
	}
	for what, db := range map[string]sqldb.DB{
		`SELECT count(*) FROM order_list WHERE status = 'dispatched'`:             order,
		`SELECT count(*) FROM order_fact WHERE dispatched_at > 0`:                 reporting,
		`SELECT count(*) FROM customer_order WHERE dispatched_at > 0`:             crm,
		`SELECT orders FROM total WHERE figure = 'all-dispatched' AND orders = 1`: reporting,
	} {
		eventually(t, what, func() bool { return sqldbtest.Count(t, db, what) == 1 })
	}

	// Nobody else heard of it: no event, no mail.
	if all, _ := audit.heard(); len(all) != len(before) || slices.ContainsFunc(all, func(e eventbus.Event) bool { return e.Replayed }) {
		t.Errorf("%d events were told to somebody else, of before and anew", len(all)-len(before))
	}
	if n := sqldbtest.Count(t, crm, `SELECT count(*) FROM mail`); n != mails {
		t.Errorf("%d mails, there were %d", n, mails)
	}

	// Who has nothing to rebuild says so.
	for service, why := range map[string]string{
		"packing": "state", "customer": "no read model", "catalog": "no read model", "nobody": "no service",
	} {
		for _, flags := range [][]string{nil, {"--status"}, {"--cancel"}} {
			if s := w.orderflow(append([]string{"rebuild", service}, flags...)...); s.code != 1 || !strings.Contains(s.err, why) {
				t.Errorf("rebuild %s %s: %+v", service, flags, s)
			}
		}
	}
	if s := w.orderflow("rebuild", "crm", "--cancel"); s.code != 1 || !strings.Contains(s.err, "no rebuild has begun") {
		t.Errorf("nothing to give up: %+v", s)
	}
	if s := w.orderflow("rebuild", "crm", "--check", "--anyway"); s.code != 2 {
		t.Errorf("both: %+v", s)
	}
}
