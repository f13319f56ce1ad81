package verify

import (
	"fmt"
	"iter"
	"maps"
	"slices"
	"strings"

	"orderflow/pkg/service"
)

// Problem is what kind of difference there is.
type Problem string

// The problems.
const (
	// Missing: nothing is shown of what was committed.
	Missing Problem = "missing"
	// Double: something is shown more than once.
	Double Problem = "double"
	// Different: something else is shown than was committed.
	Different Problem = "different"
	// Ahead: a row shows a later event than the last that was committed.
	Ahead Problem = "ahead"
	// Unfounded: something is shown that was never committed.
	Unfounded Problem = "unfounded"
	// Uncommitted: something was announced that was never committed.
	Uncommitted Problem = "uncommitted"
	// Unrecorded: something was announced that the stream of its subject had to
	// record, and does not.
	Unrecorded Problem = "unrecorded"
	// Unannounced: something was committed and never announced.
	Unannounced Problem = "unannounced"
	// Unreadable: an event in the log cannot be read, so that nothing can be said
	// of what follows from it.
	Unreadable Problem = "unreadable"
)

// Difference is one thing that is not as it should be.
type Difference struct {
	// Service is who shows or announces it.
	Service string  `json:"service"`
	Problem Problem `json:"problem"`
	// Kind and Subject are what it is about: an order, customer or product and
	// its id; of sums, "sum" and where it is shown.
	Kind    string `json:"kind"`
	Subject string `json:"subject"`
	// Field is what of it is meant, Is what is shown there, and Should what
	// should be.
	Field  string `json:"field,omitempty"`
	Is     string `json:"is,omitempty"`
	Should string `json:"should,omitempty"`
	// Waits is the dead letter that may be the reason.
	// Mend is the command that may mend it: that has the dead letter tried again, or
	// makes the read model anew. Without it a person has to look, beginning with
	// orderflow explain.
	Waits string `json:"waits,omitempty"`
	Mend  string `json:"mend,omitempty"`
}

func (d Difference) with(problem Problem, field, is, should string) Difference {
	d.Problem, d.Field, d.Is, d.Should = problem, field, is, should
	return d
}

// String is the difference in one line, without its service.
func (d Difference) String() string {
	line := d.Kind + " " + d.Subject + ": "
	switch d.Problem {
	case Missing:
		line += orNothing(d.Field, "it") + " is not there"
	case Double:
		line += fmt.Sprintf("%s is there %s times", orNothing(d.Field, "it"), d.Is)
		if d.Field == "rows" {
			line = fmt.Sprintf("%s %s: %s rows", d.Kind, d.Subject, d.Is)
		}
	case Different:
		line += fmt.Sprintf("%s is %s, should be %s", d.Field, orNothing(d.Is, "nothing"), orNothing(d.Should, "nothing"))
	case Ahead:
		line += fmt.Sprintf("it shows event %s, the last that was committed for it is %s", d.Is, d.Should)
	case Unfounded:
		line += fmt.Sprintf("%s does not follow from anything that was committed", strings.TrimSpace(orNothing(d.Field, "it")+" "+d.Is))
	case Uncommitted:
		line += fmt.Sprintf("%s was announced, and does not follow from anything that was committed", d.Field)
	case Unrecorded:
		line += fmt.Sprintf("%s was announced, and its stream does not show it", d.Field)
	case Unannounced:
		line += fmt.Sprintf("%s was committed, and never announced", d.Field)
	case Unreadable:
		line += d.Field
	}
	if d.Waits != "" {
		line += " (" + d.Waits + ": " + d.Mend + ")"
	}
	return line
}

// mend is the command that may mend a difference for which there is no dead
// letter; empty when there is none. Read models that follow from events alone are
// made anew; so are the sums, from the same.
func (d Difference) mend() string {
	rebuilt := map[string][]string{
		"order":     {service.LedgerOrder},
		"crm":       {service.LedgerOrder, service.LedgerCustomer},
		"reporting": {service.LedgerOrder, service.LedgerCustomer, service.LedgerProduct, "sum"},
	}
	switch {
	case strings.HasPrefix(d.Field, "mail "), strings.Contains(d.Field, ".events."):
		return "" // mails and announcements are in no read model
	case slices.Contains([]Problem{Missing, Double, Different, Ahead, Unfounded}, d.Problem) && slices.Contains(rebuilt[d.Service], d.Kind):
		return "orderflow rebuild --anyway " + d.Service
	default:
		return ""
	}
}

func orNothing(text, otherwise string) string {
	if text == "" {
		return otherwise
	}
	return text
}

func keys[V any](m map[string]V) iter.Seq[string] { return maps.Keys(m) }
