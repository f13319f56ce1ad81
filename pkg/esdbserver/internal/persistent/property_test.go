package persistent

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"runtime"
	"testing"
	"time"

	"github.com/google/uuid"
	"pgregory.net/rapid"

	"orderflow/pkg/esdbserver/internal/eventlog"
)

// byModel is the reason that the model gives when it parks.
const byModel = "by the model"

// model is what must hold about a group, whatever its consumers do.
type model struct {
	*world
	r          *rapid.T
	definition Definition

	consumers []*modelConsumer
	appended  []string        // every event that the group must deliver
	last      int64           // place of the last of them
	finished  map[string]bool // acked or skipped, at some time
	acked     map[string]bool // acked or skipped since the last restart: these must not come again, except by a link
	parked    map[string]int  // links that the model asked for and that were durable
	perhaps   map[string]int  // links that the model asked for just before a restart
	asked     map[string]int  // links that the model asked for since the last restart
	replayed  map[int64]bool  // links whose replay is done
}

type modelConsumer struct {
	*Consumer
	held  []Delivery
	first int64 // place of the last first delivery
}

func nameOf(stream string, revision int64) string { return fmt.Sprintf("%d@%s", revision, stream) }

// original is the event that a delivery is about, and the revision of the parked link if it was replayed.
func (m *model) original(d Delivery) (name string, link int64) {
	if d.Link != nil && d.Link.Stream == m.definition.parkedStream() {
		return nameOf(d.Event.Stream, d.Event.Revision), d.Link.Revision
	}
	return nameOf(d.Event.Stream, d.Event.Revision), -1
}

func (m *model) running() *group { return m.group(m.definition.Stream, m.definition.Group) }

// look takes what has been delivered to a consumer so far and checks it.
func (m *model) look(c *modelConsumer) {
	deliveries, err := c.take()
	if err != nil {
		m.r.Fatalf("a consumer was dropped: %v", err)
	}
	for _, d := range deliveries {
		name, link := m.original(d)
		if link < 0 {
			if m.acked[name] {
				m.r.Fatalf("%s was done and comes again (retry %d)", name, d.Retries)
			}
			if place := m.definition.place(d.Event); d.Retries == 0 {
				if place <= c.first {
					m.r.Fatalf("%s comes first after place %d", name, c.first)
				}
				c.first = place
			}
		}
		if d.Retries > m.definition.Settings.MaxRetryCount {
			m.r.Fatalf("%s comes with retry count %d", name, d.Retries)
		}
		c.held = append(c.held, d)
	}
	if len(c.held) > 1000 {
		m.r.Fatalf("a consumer holds %d events", len(c.held))
	}
}

func idOf(d Delivery) uuid.UUID {
	if d.Link != nil {
		return d.Link.ID
	}
	return d.Event.ID
}

// holds reports whether the group agrees that a consumer has an event: it may have taken it away.
func (m *model) holds(c *modelConsumer, d Delivery) bool {
	g := c.group
	g.mu.Lock()
	defer g.mu.Unlock()
	found := g.named(idOf(d), c.Consumer)
	return found != nil && found.holder == c.Consumer
}

func (m *model) answer(c *modelConsumer, i int, action string) {
	d := c.held[i]
	c.held = append(c.held[:i:i], c.held[i+1:]...)
	ids := []uuid.UUID{idOf(d)}
	name, link := m.original(d)
	holds := m.holds(c, d)
	switch action {
	case "retry":
		c.Nack(ids, ActionRetry, byModel)
		return
	case "park":
		c.Nack(ids, ActionPark, byModel)
		if holds {
			m.asked[name]++
		}
	case "skip":
		c.Nack(ids, ActionSkip, byModel)
		if holds {
			m.finished[name] = true
		}
	default:
		c.Ack(ids)
		m.finished[name] = true
	}
	switch {
	case link >= 0:
		m.replayed[link] = m.replayed[link] || holds || action == "ack"
	case holds && action != "park":
		m.acked[name] = true
	}
}

// settle waits until what is to be parked is durable.
func (m *model) settle() {
	g := m.running()
	m.eventually(g, "everything is parked", func() bool { return len(g.parking) == 0 })
	for name, n := range m.asked {
		m.parked[name] += n
	}
	clear(m.asked)
}

func (m *model) restart(settled bool) {
	if settled {
		m.settle()
	}
	for name, n := range m.asked {
		m.perhaps[name] += n
	}
	clear(m.asked)
	clear(m.acked)
	m.consumers = nil
	m.Close()
	m.links() // what is missing now is lost
	m.open()
}

// finish answers everything until nothing is left, and then looks at what has become of each event.
func (m *model) finish() {
	for _, c := range m.consumers {
		c.Close()
	}
	last := &modelConsumer{Consumer: m.connect(m.running(), 1000), first: math.MinInt64}
	g := m.running()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for done := false; !done; runtime.Gosched() {
		if ctx.Err() != nil {
			m.r.Fatalf("the group does not come to an end")
		}
		m.look(last)
		for len(last.held) > 0 {
			m.answer(last, 0, "ack")
		}
		g.mu.Lock()
		done = g.live && g.backlog.empty() && g.parked.empty() && len(g.parking) == 0 && g.backlog.seen.place >= m.last
		g.mu.Unlock()
	}
	m.settle()
	links, visible := m.links()
	for _, name := range m.appended {
		if !m.finished[name] && !visible[name] {
			m.r.Errorf("%s is lost: it was never done, and is not parked", name)
		}
		if n := links[name]; n < m.parked[name] || n > m.parked[name]+m.perhaps[name] {
			m.r.Errorf("%s was parked %d to %d times and has %d links", name, m.parked[name], m.parked[name]+m.perhaps[name], n)
		}
	}
}

// links counts the links that the model asked for, also those that left the parked stream, and tells what is parked now.
// Links that were not replayed to their end must be there, unless the group has parked the event again.
func (m *model) links() (asked map[string]int, visible map[string]bool) {
	asked, visible = map[string]int{}, map[string]bool{}
	now, last := map[int64]bool{}, map[string]int64{}
	var all []*eventlog.Event
	for from, more := int64(0), true; more; {
		page, err := m.log.ReadStream(context.Background(), m.definition.parkedStream(), from, false, math.MaxInt32)
		if err != nil {
			m.r.Fatalf("read the parked stream: %v", err)
		}
		for _, e := range page.Events {
			visible[string(e.Data)], now[e.Revision] = true, true
		}
		from, more = page.Next, page.More
	}
	for from, more := int64(0), true; more; {
		page, err := m.log.ReadAll(context.Background(), from, false, math.MaxInt32)
		if err != nil {
			m.r.Fatalf("read all: %v", err)
		}
		for _, e := range page.Events {
			if e.Stream != m.definition.parkedStream() {
				continue
			}
			var metadata parkedMetadata
			if err := json.Unmarshal(e.Metadata, &metadata); err != nil {
				m.r.Fatalf("metadata of a link: %v", err)
			}
			if metadata.Reason == byModel {
				asked[string(e.Data)]++
			}
			all, last[string(e.Data)] = append(all, e), e.Revision
		}
		from, more = page.Next, page.More
	}
	for _, e := range all {
		if !m.replayed[e.Revision] && !now[e.Revision] && last[string(e.Data)] == e.Revision {
			m.r.Errorf("link %d to %s has left the parked stream and was not done", e.Revision, e.Data)
		}
	}
	return asked, visible
}

// Whatever consumers answer, however late, and whoever leaves or restarts at whatever moment: every event is delivered
// until it is done, skipped or parked, what is done does not come again, and the parked stream has what was parked.
func TestNothingIsLostWhateverConsumersDo(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		m := &model{
			world: newWorld(r), r: r, finished: map[string]bool{}, acked: map[string]bool{}, parked: map[string]int{},
			perhaps: map[string]int{}, asked: map[string]int{}, replayed: map[int64]bool{}, last: -1,
		}
		defer m.close()
		m.definition = Definition{Stream: "s", Group: "g", Settings: usualSettings(func(s *Settings) {
			s.Strategy = rapid.SampledFrom([]string{RoundRobin, DispatchToSingle, Pinned, PinnedByCorrelation}).Draw(r, "strategy")
			s.MaxRetryCount = rapid.IntRange(0, 3).Draw(r, "retries")
			s.MaxCheckpointCount = rapid.IntRange(1, 5).Draw(r, "checkpoint")
			s.ReadBatchSize = rapid.IntRange(1, 3).Draw(r, "batch")
			s.HistoryBufferSize, s.LiveBufferSize = s.ReadBatchSize+rapid.IntRange(1, 3).Draw(r, "history"), rapid.IntRange(1, 4).Draw(r, "live")
		})}
		streams := []string{"s", "other"}
		if rapid.Bool().Draw(r, "all") {
			m.definition.Stream, streams = All, []string{"s", "t"}
			m.definition.Filter = &eventlog.Filter{Prefixes: []string{"s", "t"}}
		}
		m.create(m.definition)
		revisions := map[string]int64{}

		some := func(r *rapid.T) *modelConsumer {
			if len(m.consumers) == 0 {
				r.Skip("there is no consumer")
			}
			c := m.consumers[rapid.IntRange(0, len(m.consumers)-1).Draw(r, "consumer")]
			m.look(c)
			return c
		}
		answer := func(action string) func(*rapid.T) {
			return func(r *rapid.T) {
				c := some(r)
				if len(c.held) == 0 {
					r.Skip("it has nothing")
				}
				m.answer(c, rapid.IntRange(0, len(c.held)-1).Draw(r, "which"), action)
			}
		}
		r.Repeat(map[string]func(*rapid.T){
			"append": func(r *rapid.T) {
				stream, n := rapid.SampledFrom(streams).Draw(r, "stream"), rapid.IntRange(1, 5).Draw(r, "events")
				position := m.world.append(stream, "x", n)
				for range n {
					if stream == "s" || m.definition.Stream == All {
						m.appended = append(m.appended, nameOf(stream, revisions[stream]))
					}
					revisions[stream]++
				}
				switch {
				case m.definition.Stream == All:
					m.last = position
				case stream == "s":
					m.last = revisions[stream] - 1
				}
			},
			"connect": func(r *rapid.T) {
				if len(m.consumers) == 3 {
					r.Skip("enough of them")
				}
				slots := rapid.IntRange(1, 4).Draw(r, "slots")
				m.consumers = append(m.consumers, &modelConsumer{Consumer: m.connect(m.running(), slots), first: math.MinInt64})
			},
			"leave": func(r *rapid.T) {
				c := some(r)
				c.Close()
				for i, other := range m.consumers {
					if other == c {
						m.consumers = append(m.consumers[:i:i], m.consumers[i+1:]...)
						break
					}
				}
			},
			"ack": answer("ack"), "ack too": answer("ack"), "retry": answer("retry"), "park": answer("park"), "skip": answer("skip"),
			"time": func(r *rapid.T) {
				m.advance(m.running(), time.Duration(rapid.IntRange(1, 40).Draw(r, "seconds"))*time.Second)
			},
			"replay": func(r *rapid.T) {
				stopAt := rapid.SampledFrom([]int64{1, 3, NoLimit}).Draw(r, "stop")
				if err := m.Replay(context.Background(), m.definition.Stream, m.definition.Group, stopAt); err != nil {
					r.Fatalf("replay: %v", err)
				}
			},
			"restart": func(r *rapid.T) {
				if rapid.IntRange(0, 3).Draw(r, "rarely") > 0 {
					r.Skip("it takes a while")
				}
				m.restart(rapid.Bool().Draw(r, "settled"))
			},
			"": func(*rapid.T) {
				for _, c := range m.consumers {
					m.look(c)
				}
			},
		})
		m.finish()
	})
}
