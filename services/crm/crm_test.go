package crm_test

import (
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

func (w *world) register() {
	w.t.Helper()
	w.hears("customer.events.created.v1", zoe, 0, map[string]any{
		"customerId": zoe, "name": "Zoë Müller", "email": "zoe@example.org",
		"address": map[string]any{"line1": "Ring 1", "city": "Wien", "postcode": "1010", "country": "AT"},
	})
}

func (w *world) place(order string) {
	w.t.Helper()
	w.hears("order.events.placed.v1", order, 0, map[string]any{
		"orderId": order, "customerId": zoe, "total": map[string]any{"amount": 900, "currency": "EUR"},
		"lines": []any{map[string]any{"sku": "tea", "name": "Green tea", "quantity": 2, "unitPrice": map[string]any{"amount": 450, "currency": "EUR"}}},
	})
}

func (w *world) dispatch(order string) {
	w.t.Helper()
	w.hears("dispatch.events.dispatched.v1", order, 1, map[string]any{
		"orderId": order, "customerId": zoe, "carrier": "DHL", "trackingNumber": "JD0146",
	})
}

func TestCustomersStoryIsToldOverHTTP(t *testing.T) {
	w := newWorld(t)
	w.Start()
	w.place(orderID)
	w.dispatch(orderID)
	sqldbtest.Eventually(t, "two mails", func() bool {
		var list mails
		return w.Get("/mails").Into(&list).Status == http.StatusOK && len(list.Items) == 2
	})
	if status := w.Get("/customers/" + zoe).Status; status != http.StatusNotFound {
		t.Errorf("before the customer is known: %d", status)
	}
	w.register()
	w.register()
	var got customer
	sqldbtest.Eventually(t, "the customer is known", func() bool { return w.Get("/customers/"+zoe).Status == http.StatusOK })
	w.Get("/customers/" + zoe).Into(&got)
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
	if w.Get("/trace/"+orderID).Into(&trace).Status != http.StatusOK || trace.Service != "crm" {
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
	w.Get("/ledger").Into(&ledger)
	var subjects []string
	for _, row := range ledger.Items {
		subjects = append(subjects, row.Kind+" "+row.Subject)
	}
	if diff := cmp.Diff([]string{"customer " + zoe, "order " + orderID}, subjects); diff != "" {
		t.Error(diff)
	}
}

func TestListOfMailsHasPages(t *testing.T) {
	w := newWorld(t)
	w.Start()
	other := "01928f40-77aa-7b01-9c3d-aabbccddeeff"
	w.place(orderID)
	w.place(other)
	w.dispatch(orderID)
	var all mails
	sqldbtest.Eventually(t, "three mails", func() bool {
		all = mails{}
		return w.Get("/mails").Into(&all).Status == http.StatusOK && len(all.Items) == 3
	})
	if all.NextCursor != "" || all.Items[0].Kind != "order-dispatched" || all.Items[1].OrderID != other {
		t.Errorf("%+v", all)
	}
	var one, two mails
	w.Get("/mails?limit=2").Into(&one)
	w.Get("/mails?limit=2&cursor=" + one.NextCursor).Into(&two)
	if diff := cmp.Diff(all.Items, append(one.Items, two.Items...)); diff != "" || two.NextCursor != "" {
		t.Errorf("%s, last cursor %q", diff, two.NextCursor)
	}
	var ofOrder mails
	w.Get("/mails?orderId=" + other).Into(&ofOrder)
	if diff := cmp.Diff(all.Items[1:2], ofOrder.Items); diff != "" {
		t.Error(diff)
	}
	for path, want := range map[string]string{
		"/mails?limit=0": "query.limit", "/mails?limit=101": "query.limit", "/mails?cursor=x": "query.cursor", "/mails?order=1": "query.order",
	} {
		var p problem
		if status := w.Get(path).Into(&p).Status; status != http.StatusUnprocessableEntity || len(p.Errors) != 1 || p.Errors[0].Location != want {
			t.Errorf("%s: %d %+v", path, status, p)
		}
	}
}

func TestUnknownCustomersAreNotFound(t *testing.T) {
	w := newWorld(t)
	w.Start()
	for _, path := range []string{"/customers/" + nobody, "/customers/nobody", "/customers/" + strings.ToUpper(zoe), "/customers", "/deadletters/x"} {
		var p problem
		if status := w.Get(path).Into(&p).Status; status != http.StatusNotFound || p.Type != "urn:orderflow:problem:not-found" {
			t.Errorf("%s: %d %+v", path, status, p)
		}
	}
}

func TestEventThatCannotBeTakenInWaitsForAPerson(t *testing.T) {
	w := newWorld(t)
	w.Start()
	w.hears("order.events.placed.v1", "order 7", 0, map[string]any{"customerId": zoe})
	var letters service.Page[service.DeadLetter]
	sqldbtest.Eventually(t, "a dead letter", func() bool {
		letters = service.Page[service.DeadLetter]{}
		return w.Get("/deadletters").Into(&letters).Status == http.StatusOK && len(letters.Items) == 1
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
	w := newWorld(t)
	w.Environ["SMTP_URL"], w.Environ["MAIL_FROM"] = server.URL(), "Tea <tea@example.org>"
	stop := w.Start()
	w.register()
	w.place(orderID)
	sqldbtest.Eventually(t, "not ready without a mail server", func() bool {
		return server.Sessions() > 0 && w.Get("/readyz").Status == http.StatusServiceUnavailable
	})
	var list mails
	if w.Get("/mails").Into(&list); len(list.Items) != 1 || list.Items[0].Status != "queued" {
		t.Errorf("%+v", list)
	}
	stop()
	server.Behave(func(smtptest.Step, string) string { return "" })
	w.Start()
	w.dispatch(orderID)
	sqldbtest.Eventually(t, "both mails are sent", func() bool {
		w.Get("/mails").Into(&list)
		return len(list.Items) == 2 && list.Items[0].Status == "sent" && list.Items[1].Status == "sent"
	})
	if got := server.Mails(); len(got) != 2 || got[0].From != "tea@example.org" || !strings.HasPrefix(got[0].ID(), list.Items[1].MailID+"@") ||
		got[1].Subject(t) != list.Items[0].Subject {
		t.Errorf("%+v\n%+v", got, list)
	}
}

func TestSettingThatCanNeverWorkEndsTheService(t *testing.T) {
	for variable, value := range map[string]string{"SMTP_URL": "mail.example.org", "MAIL_FROM": "nobody", "DATABASE_URL": "oracle://x", "EVENTBUS_URL": "x"} {
		w := newWorld(t)
		w.Environ[variable] = value
		err := crm.Run(t.Context(), service.Host{Environ: w.Environ, Log: t.Output()})
		if !errors.Is(err, service.ErrSettings) || !strings.Contains(err.Error(), variable) {
			t.Errorf("%s: %v", variable, err)
		}
	}
}
