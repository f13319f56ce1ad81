package crm_test

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/service"
	"orderflow/pkg/sqldb/sqldbtest"
	"orderflow/services/crm"
	"orderflow/services/crm/internal/smtptest"
)

const (
	zoe     = "01928f3e-5b7a-7c1d-9e2f-3a4b5c6d7e8f"
	orderID = "01928f40-0a1b-7c2d-8e3f-405162738495"
	nobody  = "01928f3e-0000-7000-8000-000000000000"
)

type mail struct{ MailID, OrderID, Kind, To, Subject, Status, At string }

type mails struct {
	Items      []mail
	NextCursor string
}

type customer struct {
	CustomerID, Name, Email, Status string
	Orders                          []struct {
		OrderID, Status, PlacedAt string
		Total                     struct {
			Amount   int64
			Currency string
		}
	}
	Mails []mail
}

type problem struct {
	Type   string
	Errors []service.FieldError
}

func (w *world) register(t *testing.T) {
	t.Helper()
	w.publish(t, "customer.events.created.v1", zoe, 0, map[string]any{
		"customerId": zoe, "name": "Zoë Müller", "email": "zoe@example.org",
		"address": map[string]any{"line1": "Ring 1", "city": "Wien", "postcode": "1010", "country": "AT"},
	})
}

func (w *world) place(t *testing.T, order string) {
	t.Helper()
	w.publish(t, "order.events.placed.v1", order, 0, map[string]any{
		"orderId": order, "customerId": zoe, "total": map[string]any{"amount": 900, "currency": "EUR"},
		"lines": []any{map[string]any{"sku": "tea", "name": "Green tea", "quantity": 2, "unitPrice": map[string]any{"amount": 450, "currency": "EUR"}}},
	})
}

func (w *world) dispatch(t *testing.T, order string) {
	t.Helper()
	w.publish(t, "dispatch.events.dispatched.v1", order, 1, map[string]any{
		"orderId": order, "customerId": zoe, "carrier": "DHL", "trackingNumber": "JD0146",
	})
}

func TestCustomersStoryIsToldOverHTTP(t *testing.T) {
	w := newWorld(t, nil)
	w.start(t)
	w.place(t, orderID)
	w.dispatch(t, orderID)
	sqldbtest.Eventually(t, "two mails", func() bool {
		var list mails
		return w.get(t, "/mails", &list) == http.StatusOK && len(list.Items) == 2
	})
	if status := w.get(t, "/customers/"+zoe, nil); status != http.StatusNotFound {
		t.Errorf("before the customer is known: %d", status)
	}
	w.register(t)
	w.register(t)
	var got customer
	sqldbtest.Eventually(t, "the customer is known", func() bool { return w.get(t, "/customers/"+zoe, nil) == http.StatusOK })
	w.get(t, "/customers/"+zoe, &got)
	if got.CustomerID != zoe || got.Name != "Zoë Müller" || got.Email != "zoe@example.org" || got.Status != "active" {
		t.Errorf("%+v", got)
	}
	if len(got.Orders) != 1 || got.Orders[0].OrderID != orderID || got.Orders[0].Status != "dispatched" ||
		got.Orders[0].Total.Amount != 900 || got.Orders[0].PlacedAt != "2025-05-01T12:00:00Z" {
		t.Errorf("%+v", got.Orders)
	}
	var kinds []string
	for _, m := range got.Mails {
		kinds = append(kinds, m.Kind+" "+m.Status+" "+m.To)
	}
	slices.Sort(kinds)
	if diff := cmp.Diff([]string{"order-confirmation kept zoe@example.org", "order-dispatched kept zoe@example.org"}, kinds); diff != "" {
		t.Error(diff)
	}

	var trace service.Trace
	if w.get(t, "/trace/"+orderID, &trace) != http.StatusOK || trace.Service != "crm" {
		t.Errorf("%+v", trace)
	}
	seen := map[string]int{}
	for _, item := range trace.Items {
		seen[item.Kind]++
	}
	if diff := cmp.Diff(map[string]int{"received": 2, "wrote": 1, "mailed": 2}, seen); diff != "" {
		t.Error(diff)
	}
	var ledger service.Page[service.LedgerRow]
	w.get(t, "/ledger", &ledger)
	if diff := cmp.Diff([]service.LedgerRow{{Subject: zoe}, {Subject: orderID}}, ledger.Items); diff != "" {
		t.Error(diff)
	}
}

func TestListOfMailsHasPages(t *testing.T) {
	w := newWorld(t, nil)
	w.start(t)
	other := "01928f40-77aa-7b01-9c3d-aabbccddeeff"
	w.place(t, orderID)
	w.place(t, other)
	w.dispatch(t, orderID)
	var all mails
	sqldbtest.Eventually(t, "three mails", func() bool {
		all = mails{}
		return w.get(t, "/mails", &all) == http.StatusOK && len(all.Items) == 3
	})
	if all.NextCursor != "" || all.Items[0].Kind != "order-dispatched" || all.Items[1].OrderID != other {
		t.Errorf("%+v", all)
	}
	var one, two mails
	w.get(t, "/mails?limit=2", &one)
	w.get(t, "/mails?limit=2&cursor="+one.NextCursor, &two)
	if diff := cmp.Diff(all.Items, append(one.Items, two.Items...)); diff != "" || two.NextCursor != "" {
		t.Errorf("%s, last cursor %q", diff, two.NextCursor)
	}
	var ofOrder mails
	w.get(t, "/mails?orderId="+other, &ofOrder)
	if diff := cmp.Diff(all.Items[1:2], ofOrder.Items); diff != "" {
		t.Error(diff)
	}
	for path, want := range map[string]string{
		"/mails?limit=0": "query.limit", "/mails?limit=101": "query.limit", "/mails?cursor=x": "query.cursor", "/mails?order=1": "query.order",
	} {
		var p problem
		if status := w.get(t, path, &p); status != http.StatusUnprocessableEntity || len(p.Errors) != 1 || p.Errors[0].Location != want {
			t.Errorf("%s: %d %+v", path, status, p)
		}
	}
}

func TestUnknownCustomersAreNotFound(t *testing.T) {
	w := newWorld(t, nil)
	w.start(t)
	for _, path := range []string{"/customers/" + nobody, "/customers/nobody", "/customers/" + strings.ToUpper(zoe), "/customers", "/deadletters/x"} {
		var p problem
		if status := w.get(t, path, &p); status != http.StatusNotFound || p.Type != "urn:orderflow:problem:not-found" {
			t.Errorf("%s: %d %+v", path, status, p)
		}
	}
}

func TestEventThatCannotBeTakenInWaitsForAPerson(t *testing.T) {
	w := newWorld(t, nil)
	w.start(t)
	w.publish(t, "order.events.placed.v1", "order 7", 0, map[string]any{"customerId": zoe})
	var letters service.Page[service.DeadLetter]
	sqldbtest.Eventually(t, "a dead letter", func() bool {
		letters = service.Page[service.DeadLetter]{}
		return w.get(t, "/deadletters", &letters) == http.StatusOK && len(letters.Items) == 1
	})
	if !strings.Contains(letters.Items[0].Reason, "not the id of an order") {
		t.Errorf("%+v", letters.Items[0])
	}
}

func TestMailsGoOutOverSMTPAndSurviveARestart(t *testing.T) {
	server := smtptest.New(t)
	server.Behave(func(step smtptest.Step, _ string) string {
		if step == smtptest.Greeting {
			return "421 closed for lunch"
		}
		return ""
	})
	w := newWorld(t, map[string]string{"SMTP_URL": server.URL(), "MAIL_FROM": "Tea <tea@example.org>"})
	stop := w.start(t)
	w.register(t)
	w.place(t, orderID)
	sqldbtest.Eventually(t, "not ready without a mail server", func() bool {
		return server.Sessions() > 0 && w.get(t, "/readyz", nil) == http.StatusServiceUnavailable
	})
	var list mails
	if w.get(t, "/mails", &list); len(list.Items) != 1 || list.Items[0].Status != "queued" {
		t.Errorf("%+v", list)
	}
	stop()
	server.Behave(func(smtptest.Step, string) string { return "" })
	w.start(t)
	w.dispatch(t, orderID)
	sqldbtest.Eventually(t, "both mails are sent", func() bool {
		w.get(t, "/mails", &list)
		return len(list.Items) == 2 && list.Items[0].Status == "sent" && list.Items[1].Status == "sent"
	})
	if got := server.Mails(); len(got) != 2 || got[0].From != "tea@example.org" || !strings.HasPrefix(got[0].ID(), list.Items[1].MailID+"@") ||
		got[1].Subject(t) != list.Items[0].Subject {
		t.Errorf("%+v\n%+v", got, list)
	}
}

func TestSettingThatCanNeverWorkEndsTheService(t *testing.T) {
	for variable, value := range map[string]string{"SMTP_URL": "mail.example.org", "MAIL_FROM": "nobody", "DATABASE_URL": "oracle://x", "EVENTBUS_URL": "x"} {
		w := newWorld(t, map[string]string{variable: value})
		err := crm.Run(context.Background(), service.Host{Environ: w.environ, Log: &w.log})
		if !errors.Is(err, service.ErrSettings) || !strings.Contains(err.Error(), variable) {
			t.Errorf("%s: %v", variable, err)
		}
	}
}
