package protocoltest

import (
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// writing is a rule about writing: given these lines, this line has this outcome, and a reader then sees this.
type writing struct {
	rule    string
	given   []string
	when    string
	outcome string
	content string
}

// written makes rules of a table.
func written(table []writing) []rule {
	var rules []rule
	for _, w := range table {
		rules = append(rules, rule{name: w.rule, ask: w.ask})
	}
	return rules
}

func (w writing) ask(t *testing.T, server Server) {
	if server.Restart == nil && slices.Contains(w.given, "restart") {
		t.Skip("needs a restart, which a server elsewhere cannot be given")
	}
	s := newWorld(t, server)
	s.given(w.given...)
	if diff := cmp.Diff(w.outcome, s.Do(w.when)); diff != "" {
		t.Errorf("outcome of %q (-want +got):\n%s", w.when, diff)
	}
	if diff := cmp.Diff(w.content, s.Content("s")); diff != "" {
		t.Errorf("a reader then sees (-want +got):\n%s", diff)
	}
}
