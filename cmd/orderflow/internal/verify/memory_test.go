package verify

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"testing"
	"time"

	"github.com/google/uuid"

	"orderflow/cmd/orderflow/internal/client"
	"orderflow/pkg/es"
	"orderflow/pkg/service"
)

// manyOrders is a service that shows and has announced n orders, each as it was
// committed, from the ids of the i-th on. It keeps none of them.
type manyOrders struct{ n int }

func orderID(i int) string { return fmt.Sprintf("01928f40-0000-7000-8000-%012x", i) }

func (m manyOrders) event(i int) es.Recorded {
	return es.Recorded{
		ID: uuid.NewSHA1(uuid.Nil, []byte(orderID(i))), Stream: "order-" + orderID(i), Type: orderPlaced, At: noon,
		Data: []byte(`{"customerId":"c","currency":"EUR","lines":[{"sku":"tea","name":"Tea","quantity":2}],"total":1980,"placedAt":"2026-03-14T12:00:00Z"}`),
	}
}

func (m manyOrders) row(i int) service.LedgerRow {
	return service.LedgerRow{Kind: service.LedgerOrder, Subject: orderID(i), Status: "placed", ChangedAt: noon, Facts: service.Facts{
		service.FactCustomer: "c", service.FactLines: "2 tea", service.FactNames: "2 Tea", service.FactTotal: "1980 EUR",
	}.At(service.FactPlacedAt, noon.UnixMicro())}
}

func (m manyOrders) announcements(i int) []service.Announcement {
	var all []service.Announcement
	for _, o := range owedFor(m.event(i), false) {
		all = append(all, service.Announcement{ID: o.id, Type: o.typ, Subject: o.subject, Status: published, At: noon})
	}
	return all
}

func (m manyOrders) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	from, _ := strconv.Atoi(r.URL.Query().Get("cursor"))
	to := min(from+50, m.n)
	next := ""
	if to < m.n {
		next = strconv.Itoa(to)
	}
	var page any
	if r.URL.Path == "/ledger" {
		rows := service.Page[service.LedgerRow]{NextCursor: next}
		for i := from; i < to; i++ {
			rows.Items = append(rows.Items, m.row(i))
		}
		page = rows
	} else {
		told := service.Page[service.Announcement]{NextCursor: next}
		for i := from; i < to; i++ {
			told.Items = append(told.Items, m.announcements(i)...)
		}
		page = told
	}
	_ = json.NewEncoder(w).Encode(page)
}

// verifyMany compares n orders and returns how much of the heap was in use at most
// while that went on.
func verifyMany(t *testing.T, n int) (most uint64) {
	t.Helper()
	orders := manyOrders{n}
	server := httptest.NewServer(orders)
	defer server.Close()
	services := client.New(map[string]string{"order": server.URL}, 1)
	defer services.Close()
	inUse := func() {
		var stats runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&stats)
		most = max(most, stats.HeapAlloc)
	}

	b, err := open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.close(); err != nil {
			t.Error(err)
		}
	}()
	v := &Verifier{Client: services, Lag: time.Second, Most: 10, Tell: func(string) {}, book: b, readAt: time.Now()}
	v.report.NotChecked = map[string]string{"catalog": "there are no products here"}
	for from := 0; from < n; from += 500 {
		var batch []es.Recorded
		for i := from; i < min(from+500, n); i++ {
			batch = append(batch, orders.event(i))
		}
		if unreadable, err := b.add(t.Context(), batch); err != nil || len(unreadable) > 0 {
			t.Fatal(unreadable, err)
		}
	}
	inUse()
	s, err := v.look(t.Context(), "order")
	if err == nil {
		err = v.lookAtAnnouncements(t.Context(), "order", s)
	}
	if err != nil {
		t.Fatal(err)
	}
	inUse()
	sums, err := v.sums(t.Context(), time.Now())
	inUse()
	runtime.KeepAlive(s)
	if total := sums[figure{"revenue in EUR", "summary"}]; err != nil || total.least != int64(n)*1980 || v.report.Announcements != 2*n {
		t.Fatalf("%v, %v, %d announcements: the test is wrong", err, total, v.report.Announcements)
	}
	// Of no order there is a process, so of each a difference is suspected: also
	// where everything is wrong, no more than --most is kept.
	if s.old != 10 || s.further != n-10 || len(s.subjects) != 10 {
		t.Errorf("%d are suspected and %d were left out, of %d", len(s.subjects), s.further, n)
	}
	return most
}

// Eight times as many orders take no more memory: not even an id of each is kept.
func TestMemoryDoesNotGrowWithTheNumberOfOrders(t *testing.T) {
	verifyMany(t, 500) // what is made once is made
	few, many := verifyMany(t, 1_000), verifyMany(t, 8_000)
	const oneID = 36
	if many > few+7_000*oneID {
		t.Errorf("%d bytes for 1,000 orders, %d for 8,000: %d for each more", few, many, (many-few)/7_000)
	}
	t.Logf("%d bytes for 1,000 orders, %d for 8,000", few, many)
}
