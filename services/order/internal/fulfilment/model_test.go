package fulfilment_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"orderflow/services/order/internal/domain"
	"orderflow/services/order/internal/fulfilment"
)

// model is the whole system around one order: the order and its process by their
// real rules, packing and dispatch by theirs in a few lines, and everything that
// is on its way between them. It is comparable, so that each is looked at once.
type model struct {
	order   [5]domain.Status // what the order's stream holds, by the status that each event is about
	process fulfilment.Process
	armed   [2]fulfilment.Deadline // the deadlines there were last: one that was replaced may still pass
	asked   [2]fulfilment.Deadline // those whose commands to the order are not carried out yet
	job     job
	parcel  parcel
	sent    message // messages that were sent
	came    message // those of them that have arrived
	heard   int     // how far the manager has read the order's stream
	// What may still go wrong.
	again, restarts int
}

// message is a set of messages; each is sent once, if at all.
type message uint16

const (
	placedToPacking message = 1 << iota
	cancelledToPacking
	cancelledToDispatch
	packedToOrder
	packedToDispatch
	rejectedToOrder
	dispatchedToOrder
	dispatchedToPacking
	returnToStock
	returnedToProcess
)

const lastMessage = returnedToProcess

// job has the rules of services/packing/internal/jobs.
type job struct{ placed, cancelled, packed, rejected, returned, dispatched bool }

func (j job) status() string {
	switch {
	case !j.placed:
		return "unknown"
	case j.packed && j.returned && !j.dispatched:
		return "returned"
	case j.packed:
		return "packed"
	case j.rejected:
		return "rejected"
	case j.cancelled:
		return "cancelled"
	}
	return "pending"
}

// parcel has the rules of services/dispatch/internal/shipments.
type parcel struct{ packed, cancelled, dispatched bool }

func (p parcel) status() string {
	switch {
	case !p.packed:
		return "unknown"
	case p.dispatched:
		return "dispatched"
	case p.cancelled:
		return "cancelled"
	}
	return "ready"
}

var (
	noon     = time.Date(2026, 3, 14, 12, 0, 0, 0, time.UTC)
	settings = fulfilment.Settings{
		PackWithin: time.Hour, CancelUnpackedAfter: 2 * time.Hour, DispatchWithin: 3 * time.Hour, CancelUndispatchedAfter: 4 * time.Hour,
	}
	rules = fulfilment.NewRules(settings)
)

// events are what the order's stream holds.
func (m model) events() []domain.Event {
	var events []domain.Event
	for i, about := range m.order {
		at := noon.Add(time.Duration(i) * time.Minute)
		switch about {
		case domain.StatusPlaced:
			events = append(events, domain.Placed{CustomerID: "ann", At: at})
		case domain.StatusPacked:
			events = append(events, domain.Packed{At: at})
		case domain.StatusDispatched:
			events = append(events, domain.Dispatched{At: at})
		case domain.StatusCancelled:
			events = append(events, domain.Cancelled{CustomerID: "ann", Reason: "a reason", At: at})
		case domain.StatusUnknown:
		}
	}
	return events
}

func (m model) state() domain.Order {
	var o domain.Order
	for _, e := range m.events() {
		o = domain.Apply(o, e)
	}
	return o
}

// record appends what the order decides, and has the relay announce it.
func (m model) record(decide func(domain.Order) ([]domain.Event, error)) model {
	events, err := decide(m.state())
	if err != nil {
		return m // refused: the customer comes too late
	}
	for _, e := range events {
		at := slices.Index(m.order[:], domain.StatusUnknown)
		switch e.(type) {
		case domain.Placed:
			m.order[at], m.sent = domain.StatusPlaced, m.sent|placedToPacking
		case domain.Packed:
			m.order[at] = domain.StatusPacked
		case domain.Dispatched:
			m.order[at] = domain.StatusDispatched
		case domain.Cancelled:
			m.order[at], m.sent = domain.StatusCancelled, m.sent|cancelledToPacking|cancelledToDispatch
		case domain.Rejected: // why it is cancelled, and nothing more
		}
	}
	return m
}

// hear takes something into the process, and has its commands sent. Repetitions
// are not recognised here by their ids, as they are by the event store: the table
// by itself has to bear them.
func (m model) hear(heard fulfilment.Heard) model {
	events, err := rules.Decide(m.process, heard)
	if err != nil {
		panic(err)
	}
	for _, e := range events {
		if e.State == m.process.State {
			panic(fmt.Sprintf("%s leads nowhere", e.Name))
		}
		m.process = fulfilment.Apply(m.process, e)
		if e.Deadline != (fulfilment.Deadline{}) {
			m.armed = [2]fulfilment.Deadline{e.Deadline, m.armed[0]}
		}
		if e.Name == fulfilment.Expired {
			m.asked = [2]fulfilment.Deadline{e.Missed, m.asked[0]}
		}
		if e.Name == fulfilment.ReturnRequested {
			if m.sent&returnToStock != 0 || e.Reason == "" {
				panic("asked back twice, or for no reason")
			}
			m.sent |= returnToStock
		}
	}
	return m
}

// arrives is the effect of a message at its receiver.
func (m model) arrives(one message) model {
	at := noon.Add(time.Hour)
	switch one {
	case placedToPacking:
		m.job.placed = true
	case cancelledToPacking:
		m.job.cancelled = true
	case dispatchedToPacking:
		m.job.dispatched = true
	case returnToStock:
		if m.job.status() == "packed" && !m.job.dispatched {
			m.job.returned, m.sent = true, m.sent|returnedToProcess
		}
	case cancelledToDispatch:
		m.parcel.cancelled = true
	case packedToDispatch:
		m.parcel.packed = true
	case packedToOrder:
		m = m.record(func(o domain.Order) ([]domain.Event, error) { return o.Pack(at) })
	case rejectedToOrder:
		m = m.record(func(o domain.Order) ([]domain.Event, error) { return o.Reject("no mugs", at) })
	case dispatchedToOrder:
		m = m.record(func(o domain.Order) ([]domain.Event, error) { return o.Dispatch(at) })
	case returnedToProcess:
		m = m.hear(fulfilment.Heard{Trigger: fulfilment.GoodsReturned, At: at})
	}
	return m
}

// move is something that can happen next.
type move struct {
	what string
	to   model
	// optional is what need not happen: what people do, and what goes wrong.
	optional bool
}

func (m model) moves() []move {
	var moves []move
	can := func(what string, to model) { moves = append(moves, move{what, to, true}) }
	will := func(what string, to model) { moves = append(moves, move{what, to, false}) }

	can("the customer cancels", m.record(func(o domain.Order) ([]domain.Event, error) { return o.Cancel("a reason", noon) }))
	if m.job.status() == "pending" {
		packed, rejected := m, m
		packed.job.packed, packed.sent = true, m.sent|packedToOrder|packedToDispatch
		can("somebody packs", packed)
		rejected.job.rejected, rejected.sent = true, m.sent|rejectedToOrder
		can("somebody rejects", rejected)
	}
	if m.parcel.status() == "ready" {
		left := m
		left.parcel.dispatched, left.sent = true, m.sent|dispatchedToOrder|dispatchedToPacking
		can("somebody dispatches", left)
	}
	for one := message(1); one <= lastMessage; one <<= 1 {
		switch {
		case m.sent&one == 0:
		case m.came&one == 0:
			to := m.arrives(one)
			to.came |= one
			will(fmt.Sprintf("message %#x arrives", one), to)
		case m.again > 0:
			to := m.arrives(one)
			to.again--
			can(fmt.Sprintf("message %#x arrives again", one), to)
		}
	}
	if events := m.events(); m.heard < len(events) {
		to := m.hear(fulfilment.HeardOf(events[m.heard]))
		to.heard++
		will("the manager reads on", to)
	}
	if m.restarts > 0 && m.heard > 0 {
		to := m
		to.heard, to.restarts = 0, m.restarts-1
		can("the manager begins anew", to)
	}
	for i, d := range m.armed {
		if d != (fulfilment.Deadline{}) {
			to := m.hear(fulfilment.Heard{Trigger: d.Kind, DueAt: d.DueAt, At: d.DueAt})
			if i == 0 && m.process.Deadline.Is(d) {
				will(string(d.Kind), to)
			} else {
				can(string(d.Kind)+", which was replaced", to)
			}
		}
	}
	for i, d := range m.asked {
		if d == (fulfilment.Deadline{}) {
			continue
		}
		waitsAs := domain.StatusPlaced
		if d.Kind == fulfilment.DispatchExpired {
			waitsAs = domain.StatusPacked
		}
		to := m.record(func(o domain.Order) ([]domain.Event, error) { return o.Expire(waitsAs, "too late", noon) })
		to.asked[i] = fulfilment.Deadline{}
		will("the order is asked to end", to)
		if m.again > 0 {
			to.asked, to.again = m.asked, m.again-1
			can("the order is asked to end, and the manager dies", to)
		}
	}
	return moves
}

// ends are the allowed ends: order, process, job, parcel.
var ends = []string{
	"dispatched dispatched packed dispatched",
	"cancelled cancelled cancelled unknown",
	"cancelled cancelled rejected unknown",
	"cancelled returned returned cancelled",
}

// TestEveryInterleavingEndsInAnAllowedEnd looks at every state that the system
// can get into with people acting or not, messages arriving in any order and
// again, deadlines passing at any moment, also ones that were replaced, the
// manager starting anew and dying between a step and its consequence. From each
// state where nothing has to happen any more it demands an allowed end.
func TestEveryInterleavingEndsInAnAllowedEnd(t *testing.T) {
	t.Parallel()
	mishaps := 2
	if os.Getenv("TEST_LONG") == "1" {
		mishaps = 4
	}
	start := model{again: mishaps, restarts: mishaps}
	start = start.record(func(domain.Order) ([]domain.Event, error) { return []domain.Event{domain.Placed{}}, nil })
	type origin struct {
		from model
		what string
	}
	origins := map[model]origin{start: {}}
	story := func(m model) string {
		var lines []string
		for m != start {
			lines = append(lines, origins[m].what)
			m = origins[m].from
		}
		slices.Reverse(lines)
		return strings.Join(lines, "\n")
	}
	reached := map[string]int{}
	for next := []model{start}; len(next) > 0; {
		m := next[len(next)-1]
		next = next[:len(next)-1]
		over := true
		for _, move := range m.moves() {
			over = over && move.optional
			if !move.optional && move.to == m {
				t.Fatalf("%s changes nothing, and the order waits for ever:\n%s", move.what, story(m))
			}
			if _, seen := origins[move.to]; !seen {
				origins[move.to] = origin{m, move.what}
				next = append(next, move.to)
			}
		}
		if !over {
			continue
		}
		end := fmt.Sprintf("%s %s %s %s", m.state().Status, m.process.State, m.job.status(), m.parcel.status())
		if reached[end]++; reached[end] == 1 && !slices.Contains(ends, end) {
			t.Errorf("ends with order, process, job and parcel %s:\n%s", end, story(m))
		}
	}
	for _, end := range ends {
		if reached[end] == 0 {
			t.Errorf("nothing ends with %s", end)
		}
	}
	t.Logf("%d states, ends %v", len(origins), reached)
}
