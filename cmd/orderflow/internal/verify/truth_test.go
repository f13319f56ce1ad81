package verify

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"orderflow/pkg/es"
	"orderflow/pkg/service"
)

var noon = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)

func recorded(typ string, revision int, data string) es.Recorded {
	return es.Recorded{ID: uuid.New(), Stream: "order-" + uuid.NewString(), Type: typ, Revision: es.Revision(revision), At: noon, Data: []byte(data)}
}

func TestAnOrderIsReadInEveryVersionThatWasWritten(t *testing.T) {
	want := truth{
		Kind: service.LedgerOrder, Subject: "o", ChangedAt: noon.UnixMicro(), Announced: 0, Contact: -1, Life: -1,
		Process: process{Revision: -1}, Customer: "c", Lines: "2 mug, 1 tea", Names: "2 Mug, 1 Tea", Amount: 2500, Currency: "EUR",
	}
	want.Facts[placed] = fact{At: noon.UnixMicro(), Committed: noon.UnixMicro()}
	for version, data := range map[string]string{
		"1": `{"customerId":"c","lines":[{"sku":"tea","name":"Tea","quantity":1,"unitPrice":{"amount":500,"currency":"EUR"}},{"sku":"mug","name":"Mug","quantity":2,"unitPrice":{"amount":1000,"currency":"EUR"}}],
			"total":{"amount":2500,"currency":"EUR"},"placedAt":"2026-03-14T12:00:00Z"}`,
		"2": `{"customerId":"c","currency":"EUR","lines":[{"sku":"mug","name":"Mug","quantity":2,"unitPrice":1000},{"sku":"tea","name":"Tea","quantity":1,"unitPrice":500}],
			"total":2500,"placedAt":"2026-03-14T12:00:00.0000004Z"}`,
	} {
		got, err := unseen(service.LedgerOrder, "o").after(recorded(orderPlaced, 0, data))
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("version %s: %v %s", version, err, diff)
		}
	}
	for _, broken := range []string{``, `{"total":"much"}`, `{"total":true}`} {
		if got, err := unseen(service.LedgerOrder, "o").after(recorded(orderPlaced, 3, broken)); err == nil || got.Revision != 3 {
			t.Errorf("%q was read as %+v", broken, got)
		}
	}
}

func TestWhatIsNotKnownHereSaysNothingAndIsNotAnError(t *testing.T) {
	got, err := unseen(service.LedgerOrder, "o").after(recorded("order-gift-wrapped", 4, `{"paper":17}`))
	if want := (truth{Kind: service.LedgerOrder, Subject: "o", Revision: 4, ChangedAt: noon.UnixMicro(), Announced: -1, Contact: -1, Life: -1, Process: process{Revision: -1}}); err != nil || got != want {
		t.Errorf("%+v, %v", got, err)
	}
}

// Whoever is forgotten leaves a row that says so, and nothing of theirs.
func TestNothingOfWhoeverIsForgottenIsKept(t *testing.T) {
	c := unseen(service.LedgerCustomer, "c")
	for revision, typ := range []string{customerRegistered, customerDeactivated, customerForgotten} {
		var err error
		if c, err = c.after(recorded(typ, revision, `{}`)); err != nil {
			t.Fatal(err)
		}
	}
	empty := service.LedgerRow{Subject: "c", LastSequence: 2, Status: "forgotten"}
	unheard := service.LedgerRow{Subject: "c", LastSequence: 1, Status: "deactivated", Facts: service.Facts{service.FactPersonal: "whole"}}
	left := service.LedgerRow{Subject: "c", LastSequence: 2, Status: "forgotten", Facts: service.Facts{service.FactPersonal: "part"}}
	for _, name := range []string{"order", "dispatch", "crm"} {
		if differences := compare(name, c, []service.LedgerRow{empty}); len(differences) > 0 {
			t.Errorf("%s: %v", name, differences)
		}
		if len(compare(name, c, nil)) == 0 || len(compare(name, c, []service.LedgerRow{unheard})) == 0 || len(compare(name, c, make([]service.LedgerRow, 2))) == 0 {
			t.Errorf("%s: no row, one from before, or two are fine", name)
		}
		if name != "order" && len(compare(name, c, []service.LedgerRow{left})) != 1 {
			t.Errorf("%s may keep something", name)
		}
	}
	for _, rows := range [][]service.LedgerRow{nil, {unheard}, {empty}} {
		if differences := compare("reporting", c, rows); len(differences) > 0 {
			t.Errorf("reporting, which knows nobody, %v: %v", rows, differences)
		}
	}
}

// Whatever reporting may know of orders, the sums that follow lie between the
// ends; and where everything is settled, both ends are the sum.
func TestSumsLieBetweenWhatYoungFactsAllow(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		settled := noon.UnixMicro()
		should, shown, exact := map[figure]between{}, map[figure]int64{}, map[figure]int64{}
		anyYoung := false
		for range rapid.IntRange(0, 5).Draw(r, "orders") {
			o := truth{Kind: service.LedgerOrder, Amount: rapid.Int64Range(0, 100).Draw(r, "amount"), Currency: rapid.SampledFrom([]string{"EUR", "JPY"}).Draw(r, "currency")}
			known := map[int]bool{}
			for which := range o.Facts {
				if which != placed && rapid.Bool().Draw(r, "has not") {
					continue
				}
				young := rapid.Bool().Draw(r, "young")
				anyYoung = anyYoung || young
				o.Facts[which] = fact{At: settled - int64(which) - 1, Committed: settled - 1}
				if young {
					o.Facts[which].Committed = settled + 1
				}
				known[which] = !young || rapid.Bool().Draw(r, "is known")
			}
			o.countInto(should, settled)
			for f, n := range o.counts(func(which int) bool { return known[which] }) {
				shown[f] += n
			}
			for f, n := range o.counts(o.has) {
				exact[f] += n
			}
		}
		if differences := sumDifferences(should, shown); len(differences) > 0 {
			r.Fatalf("%v", differences)
		}
		if anyYoung {
			return
		}
		for f, want := range exact {
			if should[f] != (between{want, want}) {
				r.Fatalf("%v should be %v, want exactly %d", f, should[f], want)
			}
			shown[f]++
			if len(sumDifferences(should, shown)) != 1 {
				r.Fatalf("one more of %v is not noticed", f)
			}
			shown[f]--
		}
	})
}

// What may have been on its way never pushes out what was not, nor makes a report
// of its own.
func TestWhatIsYoungLeavesRoomForWhatIsNot(t *testing.T) {
	s := &suspicion{most: 2, settled: noon, subjects: map[about]bool{}}
	for i := range 5 {
		s.add(about{"order", fmt.Sprint("young ", i)}, noon.Add(time.Second))
	}
	for i := range 3 {
		s.add(about{"order", fmt.Sprint("old ", i)}, noon.Add(-time.Second))
	}
	if len(s.subjects) != 4 || s.further != 1 || s.unjudged != 3 || !s.subjects[about{"order", "old 1"}] {
		t.Errorf("%+v", s)
	}
	if (Report{Unjudged: 3}).Fine() != true || (Report{Further: map[string]int{"crm": 1}}).Fine() {
		t.Error("what was not judged is no difference, what was not looked into is")
	}
}
