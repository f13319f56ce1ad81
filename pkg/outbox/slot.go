package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"orderflow/pkg/outbox/internal/capture"
	"orderflow/pkg/sqldb"
)

func (o *Outbox) slot(ctx context.Context) (*capture.Slot, error) {
	pool, ok := sqldb.Pool(o.db)
	if !ok {
		return nil, fmt.Errorf("%w: it needs PostgreSQL", capture.ErrRefused)
	}
	return capture.Find(ctx, pool, "outbox", o.options.Slot)
}

func (postgres) dropSlot(ctx context.Context, o *Outbox) error {
	slot, err := o.slot(ctx)
	if err != nil {
		return err
	}
	return slot.Drop(ctx)
}

// watch looks after the slot: a slot that is not read keeps the server's log
// until the disk is full.
type watch struct {
	o      *Outbox
	warned bool
	idle   time.Time // since when nobody has read a slot that is not wanted; zero when somebody does
}

func (postgres) watchSlot(ctx context.Context, o *Outbox) {
	w := &watch{o: o}
	problem := ""
	for {
		err := w.once(ctx)
		if ctx.Err() != nil {
			return
		}
		if err != nil && err.Error() != problem {
			o.log.WarnContext(ctx, "outbox cannot look after its replication slot, trying again", "error", err)
		}
		if problem = ""; err != nil {
			problem = err.Error()
		}
		if pause(ctx, o.options.SlotEvery, nil) != nil {
			return
		}
	}
}

func (w *watch) once(ctx context.Context) error {
	var slot *capture.Slot
	var state capture.State
	err := w.o.ask(ctx, func(ctx context.Context) (err error) {
		if slot, err = w.o.slot(ctx); err == nil {
			state, err = slot.Look(ctx)
		}
		return err
	})
	if errors.Is(err, capture.ErrRefused) && w.o.options.Reader != Capture {
		return nil // a slot of that name is none of ours
	}
	if err != nil {
		return err
	}
	w.o.slotKept.Store(state.Kept)
	if !state.Exists {
		return nil
	}
	why := w.unwanted(state)
	if why == "" {
		if state.Unlimited && w.o.options.Reader == Capture && !w.warned {
			w.warned = true
			w.o.log.WarnContext(ctx, "if this service stops for good its replication slot fills the disk of the server: set max_slot_wal_keep_size", "slot", slot.Name())
		}
		return nil
	}
	if err := w.o.ask(ctx, slot.Drop); err != nil {
		return err
	}
	w.idle = time.Time{}
	w.o.slotKept.Store(0)
	w.o.log.WarnContext(ctx, "outbox dropped its replication slot; nothing is missing, the table has it all", "slot", slot.Name(), "reason", why)
	return nil
}

// unwanted says why the slot should go, or nothing.
func (w *watch) unwanted(state capture.State) string {
	options := w.o.options
	if options.Reader == Capture {
		if options.SlotMax >= 0 && state.Kept > options.SlotMax {
			return fmt.Sprintf("the server keeps %d MiB of log for it", state.Kept>>20)
		}
		return ""
	}
	switch {
	case options.SlotGrace < 0:
		return ""
	case state.PID != 0:
		w.idle = time.Time{}
	case w.idle.IsZero():
		w.idle = time.Now()
	case time.Since(w.idle) >= options.SlotGrace:
		return "the outbox is polled, and nobody has read the slot for " + options.SlotGrace.String()
	}
	return ""
}
