package verify

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"orderflow/pkg/service"
)

// anySequence is expected of rows that do not keep the sequences of their source.
const anySequence = -2

// expectation is what a row must show.
type expectation struct {
	// required says that there must be a row, allowed that there may be one.
	required, allowed bool
	sequence          int64
	// statuses are the words that fit; empty is any.
	statuses []string
	facts    service.Facts
	// mails are the kinds of mail that must have been written, each once.
	mails []string
}

// shows lists the kinds of rows that a service has.
func shows(of string) []string {
	switch of {
	case "order", "reporting":
		return []string{service.LedgerOrder, service.LedgerCustomer, service.LedgerProduct}
	case "dispatch", "crm":
		return []string{service.LedgerOrder, service.LedgerCustomer}
	case "packing":
		return []string{service.LedgerOrder}
	default:
		return nil
	}
}

// expect tells what a service must show of what was committed.
func expect(of string, t truth) expectation {
	switch {
	case t.Revision < 0:
		return expectation{}
	case t.Kind == service.LedgerOrder:
		return expectOrder(of, t)
	case t.Kind == service.LedgerCustomer:
		return expectCustomer(of, t)
	default:
		return expectation{
			required: of != "reporting" || t.Revision > 0, // it hears of changes of prices only
			allowed:  true, sequence: t.Revision,
			facts: service.Facts{service.FactPrice: service.MoneyFact(t.Amount, t.Currency)},
		}
	}
}

func expectOrder(of string, t truth) expectation {
	want := expectation{
		required: true, allowed: true, sequence: t.Announced, statuses: []string{statusOf(t.has)},
		facts: service.Facts{
			service.FactCustomer: t.Customer, service.FactLines: t.Lines, service.FactTotal: service.MoneyFact(t.Amount, t.Currency),
		},
	}
	for which, name := range []string{service.FactPlacedAt, service.FactPackedAt, service.FactDispatchedAt, service.FactCancelledAt} {
		want.facts[name] = service.Facts{}.At(name, t.Facts[which].At)[name]
	}
	switch of {
	case "order":
		want.sequence = t.Revision
	case "packing":
		want.statuses = jobStatuses(t)
		want.without(service.FactTotal, service.FactDispatchedAt)
	case "dispatch":
		want.required, want.allowed = t.has(packed), t.has(packed)
		want.sequence = anySequence // packing's own
		if !t.has(dispatched) && !t.has(cancelled) {
			want.statuses = []string{"ready"}
		}
		want.without(service.FactTotal, service.FactLines, service.FactPlacedAt)
	case "crm":
		want.without(service.FactLines) // without their skus
		for which, kind := range []string{"order-confirmation", "order-packed", "order-dispatched", "order-cancelled"} {
			if t.has(which) {
				want.mails = append(want.mails, kind)
			}
		}
	case "reporting":
		want.without(service.FactCustomer, service.FactLines)
	}
	return want
}

// jobStatuses are what a job may be. Packing and the customer can decide at the
// same time: what packing did first stays, and is taken back later, if at all.
func jobStatuses(t truth) []string {
	switch {
	case t.has(packed) && t.has(cancelled):
		return []string{"packed", "returned"}
	case t.has(packed):
		return []string{"packed"}
	case t.has(cancelled) && t.Rejected:
		return []string{"rejected"}
	case t.has(cancelled):
		return []string{"cancelled", "rejected"}
	default:
		return []string{"pending"}
	}
}

func (e *expectation) without(names ...string) {
	for _, name := range names {
		delete(e.facts, name)
	}
}

func expectCustomer(of string, t truth) expectation {
	if t.Forgotten {
		return expectation{allowed: true, sequence: anySequence} // the row may be gone, or empty
	}
	want := expectation{required: true, allowed: true, sequence: t.Revision, statuses: []string{"active"}}
	if t.Deactivated {
		want.statuses = []string{"deactivated"}
	}
	switch of {
	case "order":
		want.sequence = anySequence
	case "dispatch":
		want.sequence, want.statuses = t.Contact, nil
	case "reporting":
		want.sequence = t.Life
	}
	return want
}

// compare tells how the rows of a subject differ from what they must show.
func compare(of string, t truth, rows []service.LedgerRow) []Difference {
	want := expect(of, t)
	about := Difference{Service: of, Kind: t.Kind, Subject: t.Subject}
	switch {
	case len(rows) == 0 && want.required:
		return []Difference{about.with(Missing, "", "", "")}
	case len(rows) > 0 && !want.allowed && t.Revision >= 0:
		return []Difference{about.with(Unfounded, "status", rows[0].Status, "")}
	case len(rows) > 0 && !want.allowed:
		return []Difference{about.with(Unfounded, "", "", "")}
	}
	var found []Difference
	if len(rows) > 1 {
		found = append(found, about.with(Double, "rows", strconv.Itoa(len(rows)), "1"))
	}
	for _, row := range rows {
		found = append(found, differences(about, want, row)...)
	}
	return slices.Compact(found)
}

func differences(about Difference, want expectation, row service.LedgerRow) []Difference {
	var found []Difference
	is, should := strconv.FormatInt(row.LastSequence, 10), strconv.FormatInt(want.sequence, 10)
	switch {
	case want.sequence == anySequence || row.LastSequence == want.sequence:
	case row.LastSequence > want.sequence:
		found = append(found, about.with(Ahead, "lastSequence", is, should))
	default:
		found = append(found, about.with(Different, "lastSequence", is, should))
	}
	if len(want.statuses) > 0 && !slices.Contains(want.statuses, row.Status) {
		found = append(found, about.with(Different, "status", row.Status, strings.Join(want.statuses, " or ")))
	}
	for _, name := range slices.Sorted(keys(want.facts)) {
		if row.Facts[name] != want.facts[name] {
			found = append(found, about.with(Different, name, row.Facts[name], want.facts[name]))
		}
	}
	if want.mails != nil {
		found = append(found, mailDifferences(about, want.mails, row.Facts[service.FactMails])...)
	}
	return found
}

// mailDifferences compares how many mails of each kind there are. Of kinds that
// do not follow from an order's facts, such as one about a delay, there may be
// one.
func mailDifferences(about Difference, kinds []string, written string) []Difference {
	var found []Difference
	counted := map[string]int{}
	for mail := range strings.SplitSeq(written, ", ") {
		kind, number, _ := strings.Cut(mail, " ")
		if n, err := strconv.Atoi(number); err == nil {
			counted[kind] = n
		}
	}
	for _, kind := range kinds {
		if counted[kind] == 0 {
			found = append(found, about.with(Missing, "mail "+kind, "", ""))
		}
	}
	for _, kind := range slices.Sorted(keys(counted)) {
		switch facts := []string{"order-confirmation", "order-packed", "order-dispatched", "order-cancelled"}; {
		case counted[kind] > 1:
			found = append(found, about.with(Double, "mail "+kind, fmt.Sprint(counted[kind]), "1"))
		case slices.Contains(facts, kind) && !slices.Contains(kinds, kind):
			found = append(found, about.with(Unfounded, "mail "+kind, "", ""))
		}
	}
	return found
}
