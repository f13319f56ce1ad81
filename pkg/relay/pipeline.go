package relay

import (
	"context"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sync/semaphore"

	"orderflow/pkg/es"
	"orderflow/pkg/eventbus"
)

const (
	// savePatience bounds how long a relay that was asked to stop waits for its
	// database.
	savePatience = 5 * time.Second
	// maxBytes bounds the payloads that are on their way through the pipeline.
	maxBytes = 32 << 20
)

// window is a piece of the log on its way through the pipeline.
type window struct {
	announcements []announcement
	sent          []eventbus.Event // what the bus has confirmed
	failed        []Parked
	to            es.Position // where the log has been read to
	caughtUp      bool
	events        int   // in announcements
	bytes         int64 // of payload, at most maxBytes
}

// pipeline is one time of following the log: three stages side by side, so
// that while one window is being confirmed the next is read and translated, and
// the one before is written down.
//
//	follow, translate ──▶ publish ──▶ save
//
// There is one of each. So windows are published one after the other, which
// keeps the order of each aggregate also when a publish is repeated, and the
// checkpoint moves over windows in the order in which they were confirmed.
type pipeline struct {
	*Relay

	epoch      int64
	room       *semaphore.Weighted
	translated chan *window // the next one to be published, for as long as it grows
	confirmed  chan *window
	saved      chan struct{} // closed when the last stage has ended
}

// follow runs a pipeline from where the relay is until ctx ends or a stage fails.
func (r *Relay) follow(ctx context.Context, epoch int64) error {
	p := &pipeline{
		Relay: r, epoch: epoch, room: semaphore.NewWeighted(maxBytes),
		translated: make(chan *window, 1), confirmed: make(chan *window, 1), saved: make(chan struct{}),
	}
	stages, ctx := errgroup.WithContext(ctx)
	stages.Go(func() error {
		defer close(p.translated)
		return r.config.Store.Follow(ctx, r.progress.restart(), r.config.Prefixes, p.read)
	})
	stages.Go(func() error {
		defer close(p.confirmed)
		return p.publish(ctx)
	})
	stages.Go(func() error {
		defer close(p.saved)
		return p.save(ctx)
	})
	stages.Go(func() error { return r.watch(ctx) })
	stages.Go(func() error { return r.forgetOld(ctx) })
	return stages.Wait()
}

// read translates a batch and adds it to the window that is published next, or
// waits until that one is under way when it is full.
func (p *pipeline) read(ctx context.Context, batch es.Batch) error {
	p.progress.hasRead(batch.Position)
	w := &window{to: batch.Position, caughtUp: batch.CaughtUp}
	var err error
	w.announcements, w.failed, err = p.translateAll(ctx, batch.Events)
	if err != nil {
		return err
	}
	for _, a := range w.announcements {
		w.events += len(a.events)
		for _, e := range a.events {
			w.bytes += int64(len(e.Data))
		}
	}
	w.bytes = min(w.bytes, maxBytes)
	if err := p.room.Acquire(ctx, w.bytes); err != nil {
		return err
	}
	select {
	case next := <-p.translated:
		if next.events < p.config.Window && next.bytes < maxBytes/4 {
			next.add(w)
			w = next
		} else {
			p.translated <- next // there is room: nobody else puts anything there
		}
	default:
	}
	select {
	case p.translated <- w:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// publish announces window after window. What has been confirmed is passed on
// also when the relay has just been asked to stop: it need not be published
// again.
func (p *pipeline) publish(ctx context.Context) error {
	for w := range p.translated {
		if ctx.Err() != nil {
			return ctx.Err()
		}
		p.progress.begins(publishing)
		sent, refused, err := p.send(ctx, w.announcements)
		p.progress.ends(publishing)
		if err != nil {
			return err
		}
		w.sent, w.failed = sent, append(w.failed, refused...)
		select {
		case p.confirmed <- w:
		case <-p.saved:
			return nil // with an error of its own
		}
	}
	return nil
}

// add appends the window that follows.
func (w *window) add(next *window) {
	w.announcements = append(w.announcements, next.announcements...)
	w.sent = append(w.sent, next.sent...)
	w.failed = append(w.failed, next.failed...)
	w.to, w.caughtUp = next.to, next.caughtUp
	w.events, w.bytes = w.events+next.events, w.bytes+next.bytes
}

// save writes down what was published and moves the checkpoint over it.
func (p *pipeline) save(ctx context.Context) error {
	for w := range p.confirmed {
		select {
		case next, ok := <-p.confirmed: // confirmed while the one before was saved
			if ok {
				w.add(next)
			}
		default:
		}
		if p.worthSaving(w) {
			if err := p.saveOne(ctx, w); err != nil {
				return err
			}
		}
		p.progress.hasDone(w.to)
		p.room.Release(w.bytes)
	}
	return nil
}

func (p *pipeline) worthSaving(w *window) bool {
	return len(w.sent) > 0 || len(w.failed) > 0 || p.progress.due(w.to, w.caughtUp)
}

func (p *pipeline) saveOne(ctx context.Context, w *window) error {
	saving, done := outlive(ctx, savePatience)
	defer done()
	p.progress.begins(noting)
	err := p.checkpointTo(saving, p.epoch, w.to, w.sent, w.failed)
	p.progress.ends(noting)
	if err != nil {
		return fmt.Errorf("checkpoint %d: %w", w.to, err)
	}
	p.progress.hasSaved(w.to)
	p.sent.Add(int64(len(w.sent)))
	p.parkedHere.Add(int64(len(w.failed)))
	for _, parked := range w.failed {
		p.config.Log.ErrorContext(ctx, "committed event cannot be announced: parked", "stream", parked.Stream,
			"revision", parked.Revision, "position", parked.Position, "type", parked.Type, "error", parked.Reason)
	}
	return nil
}

// outlive returns a context that ends so much later than ctx. There is no other
// bound: a database that is slow gets its time, and one that does not answer at
// all costs the relay its lease, and with it ctx.
func outlive(ctx context.Context, d time.Duration) (longer context.Context, done func()) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(d, cancel) })
	return longer, func() { stop(); cancel() }
}
