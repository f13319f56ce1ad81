package deadletters

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"orderflow/cmd/orderflow/internal/client"
)

func letter(id string, received int64) Letter {
	return Letter{
		ID: id, Service: "packing", Box: "inbox", Status: "parked", Attempts: 3, ReceivedAt: time.Unix(received, 0),
		Event: json.RawMessage(`{"type":"order.events.placed.v1","subject":"s-` + id + `"}`),
	}
}

// desk answers every call with a status, by path, and keeps the calls.
func desk(t *testing.T, statuses map[string]int) (Desk, func() []string) {
	t.Helper()
	var mu sync.Mutex
	var calls []string
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		calls = append(calls, r.Method+" "+r.URL.EscapedPath())
		status := http.StatusOK
		if set, ok := statuses[r.URL.Path]; ok {
			status = set
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(server.Close)
	c := client.New(map[string]string{"packing": server.URL}, 1)
	t.Cleanup(c.Close)
	return Desk{Client: c, Services: []string{"packing"}}, func() []string {
		mu.Lock()
		defer mu.Unlock()
		return slices.Clone(calls)
	}
}

func TestTheOldestIsTriedFirstAndOneThatFailsKeepsNobodyFromTheOthers(t *testing.T) {
	d, calls := desk(t, map[string]int{"/deadletters/b/redrive": http.StatusConflict, "/deadletters/c/redrive": http.StatusNotFound})
	var told []string
	done, err := d.Carry(t.Context(), Redriven(), []Letter{letter("d", 4), letter("c", 3), letter("b", 2), letter("a/ä", 1)}, 10_000,
		func(l Letter, how string) { told = append(told, l.ID+": "+how) })
	if done != 2 || err == nil || err.Error() != "1 of 4 were not redriven" {
		t.Errorf("%d done, %v", done, err)
	}
	want := []string{
		"POST /deadletters/a%2F%C3%A4/redrive", "POST /deadletters/b/redrive", "POST /deadletters/c/redrive", "POST /deadletters/d/redrive",
	}
	if got := calls(); !slices.Equal(got, want) {
		t.Errorf("called %q", got)
	}
	if len(told) != 4 || told[0] != "a/ä: redriven" || !strings.HasPrefix(told[1], "b: not redriven: ") || told[2] != "c: gone: somebody has dealt with it" {
		t.Errorf("told %q", told)
	}
}

func TestWorkThatIsInterruptedStopsBetweenTwoLetters(t *testing.T) {
	d, calls := desk(t, nil)
	ctx, stop := context.WithCancelCause(t.Context())
	done, err := d.Carry(ctx, Discarded(), []Letter{letter("b", 2), letter("a", 1)}, 1, func(Letter, string) { stop(errors.New("Ctrl-C")) })
	if done != 1 || err == nil || !strings.Contains(err.Error(), "stopped before 1 of 2: Ctrl-C") || len(calls()) != 1 {
		t.Errorf("%d done, %v, calls %q", done, err, calls())
	}
}

// One request publishes for some seconds only.
func TestUnroutedEventsAreRedrivenAtTheRateUntilAllWereThere(t *testing.T) {
	var asked []string
	answers := []string{
		`{"events":10}`, `{"published":4,"malformed":1,"left":5}`, `{"published":4,"malformed":1,"left":2}`,
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.Method+" "+r.URL.String())
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(answers[len(asked)-1]))
	}))
	t.Cleanup(server.Close)
	c := client.New(map[string]string{"packing": server.URL}, 1)
	t.Cleanup(c.Close)
	done, err := Desk{Client: c, Services: []string{"packing"}}.RedriveUnrouted(t.Context(), 7, func(int) {})
	if want := (client.RedrivenUnrouted{Published: 8, Malformed: 2, Left: 2}); done != want || err != nil {
		t.Errorf("%+v, %v; want %+v", done, err, want)
	}
	want := []string{"GET /unrouted", "POST /unrouted/redrive?perSecond=7", "POST /unrouted/redrive?perSecond=7"}
	if !slices.Equal(asked, want) {
		t.Errorf("asked %q", asked)
	}
}

func TestFilterTakesPatternsSubjectsAndStatuses(t *testing.T) {
	one := letter("1", 1)
	for _, fits := range []Filter{{}, {Type: "order.#"}, {Type: "order.events.placed.v1", Subject: "s-1", Status: "parked"}} {
		if !fits.fits(one) {
			t.Errorf("%+v does not fit", fits)
		}
	}
	for _, not := range []Filter{{Type: "order.events"}, {Subject: "s"}, {Status: "held"}} {
		if not.fits(one) {
			t.Errorf("%+v fits", not)
		}
	}
}

func TestTableShowsNothingThatMovesTheCursor(t *testing.T) {
	evil := letter("1", 100)
	evil.Reason = "no\tmeaning \x1b[2J\u009b \nand a stack"
	var out strings.Builder
	if err := WriteTable(&out, []Letter{evil}, time.Unix(100, 0).Add(3*time.Hour)); err != nil {
		t.Fatal(err)
	}
	line := strings.Split(out.String(), "\n")[1]
	if !strings.HasSuffix(line, "3         parked  3h   no?meaning ?[2J? ") {
		t.Errorf("%q", line)
	}
}

func TestAgeIsShort(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "0s", 59 * time.Second: "59s", 61 * time.Second: "1m", 90 * time.Minute: "1h", 47 * time.Hour: "47h", 73 * time.Hour: "3d",
	} {
		if got := age(d); got != want {
			t.Errorf("%s is %s, want %s", d, got, want)
		}
	}
}
