package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"
)

func serve(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	c := New(map[string]string{"order": server.URL, "packing": server.URL}, 1)
	t.Cleanup(c.Close)
	return c
}

func TestAnswerThatSaysNoIsAProblem(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusConflict)
		fmt.Fprint(w, `{"status":409,"type":"urn:orderflow:problem:unknown-customer","detail":"nobody knows this customer"}`)
	})
	_, err := c.PlaceOrder(t.Context(), "c", Line{SKU: "tea", Quantity: 1})
	problem, ok := errors.AsType[*Problem](err)
	if !ok || problem.Status != http.StatusConflict || problem.Type != "urn:orderflow:problem:unknown-customer" {
		t.Fatalf("problem %+v of %v", problem, err)
	}
	if want := "order: POST /orders: answered 409: nobody knows this customer"; err.Error() != want {
		t.Errorf("says %q, want %q", err, want)
	}
}

func TestWaitingMendsWhatIsOnItsWay(t *testing.T) {
	for name, passing := range map[string]error{
		"not found":   &Problem{Status: http.StatusNotFound},
		"conflict":    &Problem{Status: http.StatusConflict},
		"unavailable": fmt.Errorf("packing: %w", &Problem{Status: http.StatusServiceUnavailable}),
		"not yet":     fmt.Errorf("is packed: %w", ErrNotYet),
	} {
		t.Run(name, func(t *testing.T) {
			attempts := 0
			err := (&Client{}).Eventually(t.Context(), "it", func(context.Context) error {
				if attempts++; attempts < 3 {
					return passing
				}
				return nil
			})
			if err != nil || attempts != 3 {
				t.Errorf("%d attempts, %v", attempts, err)
			}
		})
	}
}

func TestWaitingEndsAtOnceWhereItMendsNothing(t *testing.T) {
	attempts := 0
	err := (&Client{}).Eventually(t.Context(), "an order", func(context.Context) error {
		attempts++
		return &Problem{Status: http.StatusUnprocessableEntity, Detail: "quantity"}
	})
	if err == nil || attempts != 1 || !strings.Contains(err.Error(), "an order") {
		t.Errorf("%d attempts, %v", attempts, err)
	}
}

func TestWaitingInVainTellsTheLastReason(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
	defer cancel()
	err := (&Client{}).Eventually(ctx, "a job", func(ctx context.Context) error {
		if ctx.Err() != nil {
			return ctx.Err() // as a call that was cut off does
		}
		return &Problem{Status: http.StatusNotFound, Detail: "no such job"}
	})
	if err == nil || !strings.Contains(err.Error(), "a job: did not happen in time") || !strings.Contains(err.Error(), "no such job") {
		t.Errorf("says %v", err)
	}
}

func TestLedgerIsReadToItsEnd(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("cursor") {
		case "":
			fmt.Fprint(w, `{"items":[{"subject":"a","lastSequence":1}],"nextCursor":"one two"}`)
		case "one two":
			fmt.Fprint(w, `{"items":[{"subject":"b","lastSequence":1}]}`)
		default:
			w.WriteHeader(http.StatusUnprocessableEntity)
		}
	})
	var subjects []string
	if err := c.Ledger(t.Context(), "packing", func(s string) { subjects = append(subjects, s) }); err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(subjects, []string{"a", "b"}) {
		t.Errorf("read %v", subjects)
	}
}

func TestMoneyHasTwoDecimals(t *testing.T) {
	if got := (Money{Amount: 1405, Currency: "EUR"}).String(); got != "14.05 EUR" {
		t.Errorf("reads %s", got)
	}
}

func TestDeadLettersAreReadToTheirEndAndAServiceWithoutBoxesHasNone(t *testing.T) {
	c := serve(t, func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Query().Get("cursor") {
		case "":
			fmt.Fprint(w, `{"items":[{"id":"a","event":{"type":"order.events.placed.v1","subject":"s"}}],"nextCursor":"one+two"}`)
		case "one+two":
			fmt.Fprint(w, `{"items":[{"id":"b","event":{"type":"order-placed","stream":"order-1"}},{"id":"c","event":"no object"}]}`)
		default:
			w.WriteHeader(http.StatusUnprocessableEntity)
		}
	})
	var read []string
	err := c.DeadLetters(t.Context(), "packing", func(d DeadLetter) {
		typ, subject := d.About()
		read = append(read, fmt.Sprint(d.Service, " ", d.ID, " ", typ, " ", subject))
	})
	want := []string{"packing a order.events.placed.v1 s", "packing b order-placed order-1", "packing c  "}
	if err != nil || !slices.Equal(read, want) {
		t.Errorf("read %q, %v", read, err)
	}
	console := serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNotFound) })
	if err := console.DeadLetters(t.Context(), "order", func(DeadLetter) { t.Error("there is one") }); err != nil {
		t.Error(err)
	}
}

func TestServiceThatDoesNotAnswerIsToldFromOneThatSaysNo(t *testing.T) {
	server := httptest.NewServer(http.NotFoundHandler())
	c := New(map[string]string{"order": server.URL}, 1)
	defer c.Close()
	_, err := c.DeadLetter(t.Context(), "order", "x")
	if _, unreachable := IsUnreachable(err); unreachable || !IsNotFound(err) {
		t.Errorf("an answer of 404 counts as %v", err)
	}
	server.Close()
	_, err = c.DeadLetter(t.Context(), "order", "x")
	if reason, unreachable := IsUnreachable(err); !unreachable || reason != "connection refused" || IsNotFound(err) {
		t.Errorf("nobody there: %q, %v", reason, err)
	}
}

// An amount without the decimals of its currency would be a wrong answer.
func TestMoneyHasTheDecimalsOfItsCurrency(t *testing.T) {
	for want, money := range map[string]Money{
		"19.80 EUR": {Amount: 1980, Currency: "EUR"}, "1980 JPY": {Amount: 1980, Currency: "JPY"}, "1.980 KWD": {Amount: 1980, Currency: "KWD"},
		"0.05 EUR": {Amount: 5, Currency: "EUR"}, "-0.05 EUR": {Amount: -5, Currency: "EUR"}, "0.00 ": {},
	} {
		if got := money.String(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
