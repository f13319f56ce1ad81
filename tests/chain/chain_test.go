//go:build unix

package chain

import (
	"context"
	"testing"
	"time"

	"orderflow/pkg/faultproxy"
)

func TestEveryCommittedEventIsInEveryReadModelOnceWhateverIsKilled(t *testing.T) {
	for _, on := range []struct {
		name    string
		servers func(*testing.T) servers
		spared  bool // the consumers
		ordered bool
	}{
		{"rabbitmq and postgres", production, false, false},
		{"rabbitmq and postgres, consumers spared", production, true, true},
		{"embedded", embedded, false, true},
	} {
		t.Run(on.name, func(t *testing.T) {
			places := on.servers(t)
			w := newWorld(t, places, places)
			store, relays, consumers := w.start(t)
			mortal := append([]*process{store}, relays...)
			if !on.spared {
				mortal = append(mortal, consumers...)
			}
			faults, cancel := context.WithTimeout(t.Context(), duration())
			defer cancel()
			wait := w.write(faults, t)
			kills := 0
			for w.pause(faults, 100*time.Millisecond, 1200*time.Millisecond); faults.Err() == nil; kills++ {
				p := pick(w, mortal)
				p.kill()
				p.start(t)
				w.pause(faults, 100*time.Millisecond, 1200*time.Millisecond)
			}
			t.Logf("%d kills, %d commands", kills, wait())
			w.verify(t, on.ordered)
		})
	}
}

func TestEveryCommittedEventIsInEveryReadModelOnceWhateverTheNetworkDoes(t *testing.T) {
	near := production(t)
	broker := faultproxy.Start(t, hostOf(t, near.bus))
	database := faultproxy.Start(t, hostOf(t, near.order))
	far := servers{
		bus:   through(t, near.bus, broker.Address()),
		order: through(t, near.order, database.Address()), packing: through(t, near.packing, database.Address()), crm: through(t, near.crm, database.Address()),
	}
	w := newWorld(t, near, far)
	w.start(t)
	faults, cancel := context.WithTimeout(t.Context(), duration())
	defer cancel()
	wait := w.write(faults, t)
	broken := map[string]int{}
	for w.pause(faults, 50*time.Millisecond, 500*time.Millisecond); faults.Err() == nil; {
		proxy := pick(w, []*faultproxy.Proxy{broker, database})
		way := pick(w, []faultproxy.Direction{faultproxy.ToServer, faultproxy.ToClient})
		fault := pick(w, []string{"cut", "down", "reset", "lose", "slow", "cut after"})
		switch fault {
		case "cut":
			proxy.Cut()
		case "down":
			proxy.Down()
		case "reset":
			proxy.Reset(way)
		case "lose":
			proxy.Lose(way)
		case "slow":
			proxy.Slow(30*time.Millisecond, 20*time.Millisecond)
		case "cut after":
			proxy.CutAfter(way, w.random.Int64N(64<<10))
		}
		broken[fault]++
		w.pause(faults, 50*time.Millisecond, 500*time.Millisecond)
		if fault == "down" {
			proxy.Up()
		}
		proxy.Heal()
		w.pause(faults, 100*time.Millisecond, 800*time.Millisecond)
	}
	t.Logf("faults %v, %d commands", broken, wait())
	w.verify(t, false)
}
