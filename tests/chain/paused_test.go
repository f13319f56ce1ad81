//go:build unix

package chain

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/sqldb/sqldbtest"
)

// A relay that is paused (a stopped virtual machine, a process without the
// processor) wakes up in the belief that it is the active one. It is paused
// where that does most harm: with a window that the bus has confirmed and that
// is not written down. What it has published is known by its ids; the
// checkpoint it must not touch.
func TestARelayThatWasPausedMovesNothingWhenItWakesUp(t *testing.T) {
	places := production(t)
	w := newWorld(t, places, places)
	for _, statement := range []string{ // notes each time that the checkpoint goes back
		`CREATE TABLE went_back (name TEXT, old BIGINT, new BIGINT)`,
		`CREATE FUNCTION note_going_back() RETURNS trigger LANGUAGE plpgsql AS $$
		BEGIN INSERT INTO went_back VALUES (NEW.name, OLD.position, NEW.position); RETURN NEW; END $$`,
		`CREATE TRIGGER going_back AFTER UPDATE ON relay_checkpoint FOR EACH ROW
		WHEN (NEW.position < OLD.position) EXECUTE FUNCTION note_going_back()`,
	} {
		sqldbtest.Exec(t, w.order, statement)
	}
	_, relays, _ := w.start(t)
	writing, stop := context.WithCancel(t.Context())
	defer stop()
	wait := w.write(writing, t)

	var paused *process
	for range 3 {
		eventually(t, "a relay is active", func() bool { return w.active(t, relays) != nil })
		paused = w.active(t, relays)
		at := w.checkpoint(t)
		eventually(t, "it publishes", func() bool { return w.checkpoint(t) > at })
		paused.signal(t, syscall.SIGUSR1)
		eventually(t, "another one is active", func() bool {
			other := w.active(t, relays)
			return other != nil && other != paused
		})
		at = w.checkpoint(t)
		eventually(t, "that one publishes", func() bool { return w.checkpoint(t) > at })
		paused.signal(t, syscall.SIGCONT)
		at = w.checkpoint(t)
		eventually(t, "publishing goes on", func() bool { return w.checkpoint(t) > at })
	}
	for _, p := range relays {
		if p != paused {
			p.kill()
		}
	}
	eventually(t, "the one that was paused stands by, and takes over", func() bool { return w.active(t, relays) == paused })
	stop()
	t.Logf("%d commands", wait())
	w.verify(t, true)
	if n := sqldbtest.Count(t, w.order, `SELECT count(*) FROM went_back`); n != 0 {
		t.Errorf("the checkpoint went back %d times", n)
	}
}

// active is the relay that holds the lease, or nil.
func (w *world) active(t *testing.T, relays []*process) *process {
	t.Helper()
	var holder string
	err := w.order.QueryRow(t.Context(), `SELECT holder FROM lease WHERE name = 'relay-order'
		AND expires_at > extract(epoch FROM clock_timestamp()) * 1000000`).Scan(&holder)
	if err != nil {
		return nil
	}
	for _, p := range relays {
		if p.command != nil && strings.HasSuffix(holder, "/"+strconv.Itoa(p.command.Process.Pid)) {
			return p
		}
	}
	return nil
}

func (w *world) checkpoint(t *testing.T) int {
	t.Helper()
	return sqldbtest.Count(t, w.order, `SELECT CAST(coalesce(max(position), 0) AS BIGINT) FROM relay_checkpoint`)
}

// pausing is a bus that stops its own process once it is told to: just after the
// events of the next call were confirmed.
type pausing struct {
	eventbus.Publisher
	told chan os.Signal
}

func pausable(bus eventbus.Publisher) pausing {
	p := pausing{bus, make(chan os.Signal, 1)}
	signal.Notify(p.told, syscall.SIGUSR1)
	return p
}

func (p pausing) Publish(ctx context.Context, events ...eventbus.Event) error {
	err := p.Publisher.Publish(ctx, events...)
	select {
	case <-p.told:
		return errors.Join(err, syscall.Kill(os.Getpid(), syscall.SIGSTOP))
	default:
		return err
	}
}
