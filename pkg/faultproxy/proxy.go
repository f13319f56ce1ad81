package faultproxy

import (
	"bytes"
	"context"
	"encoding/json"
	"time"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// Direction is the way that data goes.
type Direction string

// The directions, as seen from the client.
const (
	ToServer Direction = "upstream"
	ToClient Direction = "downstream"
)

// T is what a proxy needs of a *testing.T or a *testing.B.
type T interface {
	Helper()
	Fatalf(format string, args ...any)
	Cleanup(func())
}

// Proxy carries connections to one server. Its methods must not be called at
// the same time; the connections go on meanwhile.
type Proxy struct {
	t     T
	proxy *toxiproxy.Proxy
}

// Start carries connections to target, host:port, until the test ends.
func Start(t T, target string) *Proxy {
	t.Helper()
	log := zerolog.Nop()
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), log)
	p := &Proxy{t: t, proxy: toxiproxy.NewProxy(server, target, "127.0.0.1:0", target)}
	if err := p.proxy.Start(); err != nil {
		t.Fatalf("start a proxy for %s: %v", target, err)
	}
	t.Cleanup(func() {
		p.proxy.Stop()
		p.proxy.Toxics.ResetToxics(context.Background())
	})
	return p
}

// Address is where clients connect to, host:port.
func (p *Proxy) Address() string { return p.proxy.Listen }

// Cut closes every connection. New ones are accepted at once.
func (p *Proxy) Cut() {
	p.t.Helper()
	p.Down()
	p.Up()
}

// Down closes every connection and refuses new ones, as a server that was
// stopped does.
func (p *Proxy) Down() { p.proxy.Stop() }

// Up ends Down.
func (p *Proxy) Up() {
	p.t.Helper()
	if err := p.proxy.Start(); err != nil {
		p.t.Fatalf("start the proxy on %s again: %v", p.Address(), err)
	}
}

// Slow delays what goes either way by latency, give or take jitter.
func (p *Proxy) Slow(latency, jitter time.Duration) {
	p.t.Helper()
	for _, way := range [...]Direction{ToServer, ToClient} {
		p.add("latency", way, map[string]int64{"latency": latency.Milliseconds(), "jitter": jitter.Milliseconds()})
	}
}

// Narrow limits what goes that way to so many KiB a second.
func (p *Proxy) Narrow(way Direction, kibPerSecond int64) {
	p.t.Helper()
	p.add("bandwidth", way, map[string]int64{"rate": kibPerSecond})
}

// Lose swallows what goes that way, and leaves the connections open: neither
// side is told. A server that was unplugged looks like this.
func (p *Proxy) Lose(way Direction) {
	p.t.Helper()
	p.add("timeout", way, map[string]int64{"timeout": 0})
}

// CutAfter closes each connection once so many more bytes have gone that way,
// wherever in a message that is.
func (p *Proxy) CutAfter(way Direction, bytes int64) {
	p.t.Helper()
	p.add("limit_data", way, map[string]int64{"bytes": bytes})
}

// Reset breaks each connection as soon as something goes that way. A connection
// made meanwhile is reset, an older one closed.
func (p *Proxy) Reset(way Direction) {
	p.t.Helper()
	p.add("reset_peer", way, map[string]int64{"timeout": 0})
}

// Heal ends every fault but Down.
func (p *Proxy) Heal() { p.proxy.Toxics.ResetToxics(context.Background()) }

// add makes a fault. One of each kind holds at a time and way.
func (p *Proxy) add(kind string, way Direction, attributes map[string]int64) {
	p.t.Helper()
	text, err := json.Marshal(map[string]any{"type": kind, "stream": way, "attributes": attributes})
	if err == nil {
		_, err = p.proxy.Toxics.AddToxicJson(bytes.NewReader(text))
	}
	if err != nil {
		p.t.Fatalf("%s on the way %s of the proxy on %s: %v", kind, way, p.Address(), err)
	}
}
