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
	// late are facts that a row shows only if its service has heard of them: it was
	// not always told.
	late service.Facts
	// mails are the kinds of mail that must have been written, each once.
	mails []string
}

// shows lists the kinds of rows that a service has.
func shows(of string) []string {
	switch of {
	case "catalog":
		return []string{service.LedgerProduct}
	case "order":
		return []string{service.LedgerOrder, service.LedgerCustomer, service.LedgerProduct, service.LedgerDeadline}
	case "reporting":
		return []string{service.LedgerOrder, service.LedgerCustomer, service.LedgerProduct}
	case "dispatch":
		return []string{service.LedgerOrder, service.LedgerCustomer}
	case "crm":
		return []string{service.LedgerOrder, service.LedgerCustomer, service.LedgerMail}
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
	case t.Kind == service.LedgerMail: // that the order has no row is told by itself
		return expectation{allowed: true, sequence: anySequence}
	case t.Kind == service.LedgerDeadline:
		return expectDeadline(t)
	case of == "catalog": // there it comes from
		return expectation{required: true, allowed: true, sequence: anySequence}
	default:
		want := expectation{
			required: of != "reporting" || t.Revision > 0, // it hears of changes of prices only
			allowed:  true, sequence: t.Revision,
			facts: service.Facts{service.FactPrice: service.MoneyFact(t.Amount, t.Currency), service.FactName: t.Names},
		}
		if of == "reporting" {
			want.without(service.FactName)
		}
		return want
	}
}

// expectDeadline is what the process of an order waits for. Every order has one.
func expectDeadline(t truth) expectation {
	waits := t.Process.Deadline != ""
	return expectation{
		required: waits || t.Process.Revision < 0, allowed: waits || t.Process.Revision < 0, sequence: anySequence,
		statuses: []string{t.Process.Deadline}, facts: service.Facts{}.At(service.FactDueAt, t.Process.DueAt),
	}
}

// processStates are those that the process of an order may be in, given what has
// happened to the order.
func processStates(t truth) []string {
	switch {
	case t.has(dispatched):
		return []string{"dispatched"}
	case t.has(cancelled) && t.has(packed):
		return []string{"returning", "returned"}
	case t.has(cancelled):
		return []string{"cancelled"}
	case t.has(packed):
		return []string{"dispatching", "dispatching-late", "dispatching-expired"}
	default:
		return []string{"packing", "packing-late", "packing-expired"}
	}
}

func expectOrder(of string, t truth) expectation {
	want := expectation{
		required: true, allowed: true, sequence: t.Announced, statuses: []string{statusOf(t.has)},
		facts: service.Facts{
			service.FactCustomer: t.Customer, service.FactLines: t.Lines, service.FactNames: t.Names,
			service.FactTotal: service.MoneyFact(t.Amount, t.Currency),
		},
	}
	for which, name := range []string{
		service.FactPlacedAt, service.FactPackedAt, service.FactDispatchedAt, service.FactCancelledAt,
		service.FactPackingDelayedAt, service.FactDispatchDelayedAt, service.FactReturnedAt,
	} {
		want.facts[name] = service.Facts{}.At(name, t.Facts[which].At)[name]
	}
	if t.has(dispatched) { // what left may have been said to be back as well, and the process does not say so any more
		want.without(service.FactReturnedAt)
	}
	switch of {
	case "order":
		want.sequence = t.Revision
		want.without(service.FactPackingDelayedAt, service.FactDispatchDelayedAt, service.FactReturnedAt)
	case "packing":
		want.statuses = jobStatuses(t)
		want.late = service.Facts{service.FactDispatchedAt: want.facts[service.FactDispatchedAt]}
		want.without(service.FactTotal, service.FactDispatchedAt, service.FactPackingDelayedAt, service.FactDispatchDelayedAt)
	case "dispatch":
		want.required, want.allowed = t.has(packed), t.has(packed)
		want.sequence = anySequence // packing's own
		if !t.has(dispatched) && !t.has(cancelled) {
			want.statuses = []string{"ready"}
		}
		want.without(service.FactTotal, service.FactLines, service.FactNames, service.FactPlacedAt,
			service.FactPackingDelayedAt, service.FactDispatchDelayedAt, service.FactReturnedAt)
	case "crm":
		want.without(service.FactLines, service.FactReturnedAt) // crm has the names of products only
		for which, kind := range mailKinds() {
			if t.has(which) {
				want.mails = append(want.mails, kind)
			}
		}
	case "reporting":
		want.without(service.FactCustomer, service.FactLines, service.FactNames)
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
	want := expectation{required: true, allowed: true, sequence: t.Revision, statuses: []string{"active"}}
	if t.Deactivated {
		want.statuses = []string{"deactivated"}
	}
	switch {
	case t.Forgotten && of == "reporting": // which knows no more than when somebody came and left, if it heard in time
		return expectation{allowed: true, sequence: anySequence}
	case t.Forgotten:
		want.statuses = []string{"forgotten"}
	}
	switch of {
	case "order":
		want.sequence = anySequence
	case "dispatch":
		want.sequence = t.Contact
		if !t.Forgotten {
			want.statuses = []string{"known"}
		}
		want.facts = personalOf(t)
	case "crm":
		want.facts = personalOf(t)
	case "reporting":
		want.sequence = t.Life
	}
	return want
}

// personalOf is how much of a customer's personal data there must be: all or, of
// one who is forgotten, none.
func personalOf(t truth) service.Facts {
	return service.Facts{service.FactPersonal: service.PersonalFact(!t.Forgotten, !t.Forgotten)}
}

// compare tells how the rows of a subject differ from what they must show.
func compare(of string, t truth, rows []service.LedgerRow) []Difference {
	want := expect(of, t)
	about := Difference{Service: of, Kind: t.Kind, Subject: t.Subject}
	switch {
	case t.Kind == service.LedgerDeadline && t.Revision >= 0 && t.Process.Revision >= 0 && !slices.Contains(processStates(t), t.Process.State):
		return []Difference{about.with(Different, "state of the process", t.Process.State, strings.Join(processStates(t), " or "))}
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
	for _, name := range slices.Sorted(keys(want.late)) {
		if is := row.Facts[name]; is != "" && is != want.late[name] {
			found = append(found, about.with(Different, name, is, want.late[name]))
		}
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

// mailKinds are the kinds of mail, by the fact that each tells of.
func mailKinds() []string {
	return []string{
		"order-confirmation", "order-packed", "order-dispatched", "order-cancelled", "order-packing-delayed", "order-dispatch-delayed",
	}
}

// mailDifferences compares how many mails of each kind there are. Of kinds that
// are not known here there may be one.
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
		switch {
		case counted[kind] > 1:
			found = append(found, about.with(Double, "mail "+kind, fmt.Sprint(counted[kind]), "1"))
		case slices.Contains(mailKinds(), kind) && !slices.Contains(kinds, kind):
			found = append(found, about.with(Unfounded, "mail "+kind, "", ""))
		}
	}
	return found
}
