package persistent

import (
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"orderflow/pkg/esdbserver/internal/eventlog"
)

// parkedAtOnce is how many links are appended to the parked stream together.
const parkedAtOnce = 128

// writeLoop makes durable what has to be, for as long as the group runs.
func (g *group) writeLoop() {
	defer g.running.Done()
	for {
		select {
		case <-g.toWrite:
		case <-g.ctx.Done():
			return
		}
		for busy := true; busy; {
			var err error
			busy, err = g.writeSome()
			if g.ctx.Err() != nil || errors.Is(err, eventlog.ErrClosed) {
				return
			}
			if err != nil {
				g.logger.Error("a persistent subscription cannot write", "subscription", g.definition.Key(), "error", err)
				g.mu.Lock()
				g.saveFailed = true
				g.mu.Unlock()
				busy = false
			}
		}
	}
}

// writeSome writes what is most urgent and returns false when there is nothing.
func (g *group) writeSome() (busy bool, err error) {
	g.mu.Lock()
	n := min(len(g.parking), parkedAtOnce)
	if g.attempted > 0 {
		n = g.attempted
	}
	parking := g.parking[:n]
	wanted, done := g.checkpoint.wanted, g.backlog.done()
	truncate := g.parked.done().place + 1
	g.mu.Unlock()
	switch {
	case len(parking) > 0:
		return true, g.writeParked(parking)
	case wanted:
		return true, g.writeCheckpoint(done)
	case truncate > g.truncated:
		return true, g.truncateParked(truncate)
	}
	return false, nil
}

// parkedMetadata is kept with the link to a parked event, for whoever looks into it.
type parkedMetadata struct {
	Added    time.Time `json:"added"`
	Reason   string    `json:"reason"`
	Revision int64     `json:"subscriptionEventNumber"`
	By       string    `json:"by,omitempty"` // user or name of the connection; absent when the group did it by itself
}

// writeParked appends the links to parked events and is done with them. When an append is not answered it may have been
// committed all the same: it is tried again with the same links, which are then recognised by their ids.
func (g *group) writeParked(parking []*message) error {
	g.attempted = len(parking)
	if err := g.appendLinks(parking); err != nil {
		return fmt.Errorf("park %d events: %w", len(parking), err)
	}
	g.attempted = 0
	g.mu.Lock()
	defer g.mu.Unlock()
	g.parking = g.parking[len(parking):]
	for _, m := range parking {
		g.finish(m)
	}
	g.dispatch()
	return nil
}

func (g *group) appendLinks(parking []*message) error {
	events := make([]eventlog.Proposed, 0, len(parking))
	for _, m := range parking {
		metadata, err := json.Marshal(parkedMetadata{Added: m.parkedAt, Reason: m.reason, Revision: m.revision, By: m.parkedBy})
		if err != nil {
			return err
		}
		events = append(events, eventlog.Proposed{
			ID: m.parkedID, Type: eventlog.TypeLink, Data: eventlog.LinkTo(m.stream, m.revision), Metadata: metadata,
		})
	}
	_, err := g.log.Append(g.ctx, g.definition.parkedStream(), eventlog.Any, events)
	var deleted *eventlog.StreamDeletedError
	if errors.As(err, &deleted) {
		// Somebody tombstoned the parked stream: there will never be a place for these.
		g.logger.Error("events cannot be parked and are skipped", "subscription", g.definition.Key(), "events", len(events), "error", err)
		return nil
	}
	return err
}

func (g *group) writeCheckpoint(done mark) error {
	g.mu.Lock()
	current := g.checkpoint.written
	g.checkpoint.wanted = false
	g.mu.Unlock()
	if done.place == current.place {
		return nil
	}
	if err := g.checkpoint.save(g.ctx, g.log, g.definition, done.place); err != nil {
		return err
	}
	g.mu.Lock()
	g.checkpoint.written, g.checkpoint.at, g.checkpoint.exists = done, g.now(), true
	g.mu.Unlock()
	return nil
}

// truncateParked lets go of parked events that were replayed and are done.
func (g *group) truncateParked(before int64) error {
	_, err := g.log.Append(g.ctx, eventlog.Metastream(g.definition.parkedStream()), eventlog.Any, []eventlog.Proposed{{
		ID: uuid.New(), Type: eventlog.TypeMetadata, JSON: true, Data: fmt.Appendf(nil, `{"$tb":%d}`, before),
	}})
	var deleted *eventlog.StreamDeletedError
	if err != nil && !errors.As(err, &deleted) {
		return fmt.Errorf("truncate the parked stream: %w", err)
	}
	g.mu.Lock()
	g.truncated = before
	g.mu.Unlock()
	return nil
}
