package fulfilment_test

import (
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"orderflow/services/order/internal/fulfilment"
)

func TestEveryCellOfTheTableIsStated(t *testing.T) {
	states, triggers := fulfilment.States(), fulfilment.Triggers()
	for s, row := range fulfilment.Table() {
		if !slices.Contains(states, s) || len(row) != len(triggers) {
			t.Errorf("%q, with %d cells, is not what States and Triggers list", s, len(row))
		}
		for trigger, step := range row {
			if step != (fulfilment.Step{}) && (!slices.Contains(states, step.Next) || !slices.Contains(fulfilment.EventNames(), step.Event)) {
				t.Errorf("%q × %s leads to %+v, which cannot be stored or listed", s, trigger, step)
			}
		}
	}
	for _, s := range fulfilment.States() {
		for _, trigger := range fulfilment.Triggers() {
			step, stated := rules.Step(s, trigger)
			if !stated {
				t.Errorf("%q × %s is not stated", s, trigger)
			}
			if (step.Next == "") != (step.Event == "") || step.Next == s && step.Next != "" {
				t.Errorf("%q × %s leads to %+v", s, trigger, step)
			}
		}
	}
}

// What the order's stream says is ignored once it was heard, and what is ignored
// stays ignored. So it does no harm to hear an order's history again, however far
// its process has come.
func TestHearingAgainChangesNothing(t *testing.T) {
	heard := []fulfilment.Trigger{
		fulfilment.OrderPlaced, fulfilment.OrderPacked, fulfilment.OrderCancelled, fulfilment.OrderDispatched,
	}
	for _, s := range fulfilment.States() {
		for _, trigger := range fulfilment.Triggers() {
			step, _ := rules.Step(s, trigger)
			if step.Event == "" {
				continue
			}
			for _, again := range heard {
				before, _ := rules.Step(s, again)
				after, _ := rules.Step(step.Next, again)
				ignored := before.Event == "" && s != fulfilment.StateNew
				if (again == trigger || ignored) && after.Event != "" {
					t.Errorf("%s, heard in %q, leads on from %q to %q", again, s, step.Next, after.Next)
				}
			}
		}
	}
}

// From every state but the ends the order gets on by itself, or something that
// it has asked for comes.
func TestNoOrderIsForgotten(t *testing.T) {
	ends := map[fulfilment.State]bool{
		fulfilment.StateNew: true, fulfilment.StateDispatched: true, fulfilment.StateReturned: true, fulfilment.StateCancelled: true,
	}
	asked := map[fulfilment.State]fulfilment.Trigger{
		fulfilment.StatePackingExpired: fulfilment.OrderCancelled, fulfilment.StateDispatchingExpired: fulfilment.OrderCancelled,
		fulfilment.StateReturning: fulfilment.GoodsReturned,
	}
	for _, s := range fulfilment.States() {
		next := fulfilment.DeadlineOf(s)
		if next == "" {
			next = asked[s]
		}
		step, _ := rules.Step(s, next)
		if !ends[s] && step.Event == "" {
			t.Errorf("%s waits for %q, which does nothing", s, next)
		}
	}
}

// The second deadline of a stage is as far from the first as the settings are
// apart, however late that was noticed: here half an hour, and a minute.
func TestDeadlinesCountFromTheBeginningOfTheirStage(t *testing.T) {
	p := fulfilment.Process{}
	hear := func(heard fulfilment.Heard) {
		t.Helper()
		events, err := rules.Decide(p, heard)
		if err != nil || len(events) != 1 {
			t.Fatalf("%s gives %v, %v", heard.Trigger, events, err)
		}
		p = fulfilment.Apply(p, events[0])
	}
	waits := func(kind fulfilment.Trigger, due time.Duration) {
		t.Helper()
		if !p.Deadline.Is(fulfilment.Deadline{Kind: kind, DueAt: noon.Add(due)}) {
			t.Fatalf("waits until %s for %s", p.Deadline.DueAt, p.Deadline.Kind)
		}
	}
	hear(fulfilment.Heard{Trigger: fulfilment.OrderPlaced, CustomerID: customer, At: noon})
	waits(fulfilment.PackOverdue, time.Hour)
	late := fulfilment.Heard{Trigger: fulfilment.PackOverdue, DueAt: noon.Add(time.Hour), At: noon.Add(90 * time.Minute)}
	if events, err := rules.Decide(p, fulfilment.Heard{Trigger: late.Trigger, DueAt: noon, At: late.At}); err != nil || len(events) != 0 {
		t.Errorf("a deadline at another time gives %v, %v", events, err)
	}
	hear(late)
	waits(fulfilment.PackExpired, 150*time.Minute)
	hear(fulfilment.Heard{Trigger: fulfilment.OrderPacked, At: noon.Add(100 * time.Minute)})
	waits(fulfilment.DispatchOverdue, 280*time.Minute)
	hear(fulfilment.Heard{Trigger: fulfilment.DispatchOverdue, DueAt: noon.Add(280 * time.Minute), At: noon.Add(281 * time.Minute)})
	waits(fulfilment.DispatchExpired, 341*time.Minute)
	hear(fulfilment.Heard{Trigger: fulfilment.OrderDispatched, At: noon.Add(300 * time.Minute)})
	if p.Deadline != (fulfilment.Deadline{}) || p.CustomerID != customer {
		t.Errorf("ends as %+v", p)
	}
}

// markdown writes the table as docs/processes.md has it.
func markdown() string {
	var b strings.Builder
	b.WriteString("| state |")
	for _, trigger := range fulfilment.Triggers() {
		b.WriteString(" " + string(trigger) + " |")
	}
	b.WriteString(" waits for |\n|---|" + strings.Repeat("---|", len(fulfilment.Triggers())+1) + "\n")
	for _, s := range fulfilment.States() {
		name := string(s)
		if s == fulfilment.StateNew {
			name = "(none)"
		}
		b.WriteString("| **" + name + "** |")
		for _, trigger := range fulfilment.Triggers() {
			step, _ := rules.Step(s, trigger)
			cell := "·"
			if step.Event != "" {
				cell = string(step.Next) + " *" + strings.TrimPrefix(string(step.Event), "fulfilment-") + "*"
			}
			b.WriteString(" " + cell + " |")
		}
		waits := string(fulfilment.DeadlineOf(s))
		if waits == "" {
			waits = "·"
		}
		b.WriteString(" " + waits + " |\n")
	}
	return b.String()
}

func TestTheDocumentHasTheTable(t *testing.T) {
	text, err := os.ReadFile("../../../../docs/processes.md")
	if err != nil {
		t.Fatal(err)
	}
	if want := markdown(); !strings.Contains(string(text), want) {
		t.Errorf("docs/processes.md does not have this table:\n%s", want)
	}
}
