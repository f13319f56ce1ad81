package rabbitmq

import (
	"testing"
	"testing/synctest"
	"time"
)

func TestBlockedTimeAddsUpAcrossSessions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var clock stopwatch
		for range 2 { // sessions
			g := newGate(&clock)
			g.open() // without having been blocked
			g.block("low on memory")
			<-time.After(time.Second)
			g.block("low on disk, too")
			select {
			case <-g.wait():
				t.Error("open")
			default:
			}
			<-time.After(time.Second)
			g.open()
			<-g.wait()
			<-time.After(time.Second)
		}
		g := newGate(&clock)
		g.block("")
		<-time.After(time.Second)
		if got := clock.elapsed(); got != 5*time.Second || g.reason() == "" {
			t.Errorf("blocked for %s, want 5 s; reason %q", got, g.reason())
		}
	})
}
