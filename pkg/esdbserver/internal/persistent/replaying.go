package persistent

import "orderflow/pkg/esdbserver/internal/eventlog"

// readParked reads a batch of the parked stream for replaying.
func (g *group) readParked(to int64, limit int) error {
	r := &g.reading
	page, err := g.log.ReadStream(g.ctx, g.definition.parkedStream(), r.nextParked, false, min(int64(limit), to-r.nextParked))
	if err != nil {
		return err
	}
	if page.Stream.Tombstoned() {
		page.Events, page.More = nil, false
	}
	for _, e := range page.Events {
		if e.Revision >= to {
			page.More = false
			break
		}
		if err := g.takeParked(e); err != nil {
			return err
		}
		r.nextParked = e.Revision + 1
	}
	if !page.More {
		r.nextParked = to
	}
	return nil
}

// takeParked makes a message of a parked event. What points to nothing is passed, and so leaves the parked stream.
func (g *group) takeParked(e *eventlog.Event) error {
	stream, revision, isLink := eventlog.ParseLink(e.Data)
	var found resolved
	if isLink && e.Type == eventlog.TypeLink {
		var err error
		if found, err = g.resolve(g.ctx, e, true); err != nil {
			return err
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if !found.ok {
		g.parked.pass(e.Revision, true)
		g.toWrite.send()
		return nil
	}
	m := g.newMessage(e, found)
	m.replayed, m.stream, m.revision = true, stream, revision
	g.parked.add(e.Revision, m)
	g.enqueue(&g.retries, m)
	g.dispatch()
	return nil
}
