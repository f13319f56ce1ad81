package outbox_test

import (
	"net/url"
	"os"
	"testing"
	"time"

	"orderflow/pkg/eventbus/rabbitmq/rabbitmqtest"
	"orderflow/pkg/faultproxy"
	"orderflow/pkg/outbox"
)

// fault is what a network does.
type fault struct {
	name  string
	quiet bool // nothing gets through while it lasts
	begin func(p *faultproxy.Proxy)
}

func faults() []fault {
	return []fault{
		{"cut", false, (*faultproxy.Proxy).Cut},
		{"gone", true, (*faultproxy.Proxy).Down},
		{"slow", false, func(p *faultproxy.Proxy) { p.Slow(20*time.Millisecond, 10*time.Millisecond) }},
		{"half-open to the server", true, func(p *faultproxy.Proxy) { p.Lose(faultproxy.ToServer) }},
		{"half-open to the client", true, func(p *faultproxy.Proxy) { p.Lose(faultproxy.ToClient) }},
		{"cut in the middle of a message to the server", false, func(p *faultproxy.Proxy) { p.CutAfter(faultproxy.ToServer, 3001) }},
		{"cut in the middle of a message to the client", false, func(p *faultproxy.Proxy) { p.CutAfter(faultproxy.ToClient, 7003) }},
		{"reset by the server", true, func(p *faultproxy.Proxy) { p.Reset(faultproxy.ToClient) }},
		{"reset on the way to the server", true, func(p *faultproxy.Proxy) { p.Reset(faultproxy.ToServer) }},
	}
}

// through is a URL that leads over a proxy.
func through(t testing.TB, p func(target string) *faultproxy.Proxy, rawURL string) (string, *faultproxy.Proxy) {
	t.Helper()
	address, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := p(address.Host)
	address.Host = proxy.Address()
	return address.String(), proxy
}

func TestNoFaultOnTheWayToPostgreSQLLosesOrReordersAnything(t *testing.T) {
	eachPostgres(t, func(t *testing.T, w *world) { breakNetwork(t, w, "PostgreSQL", faults()) })
}

func TestNoFaultOnTheWayToRabbitMQLosesOrReordersAnything(t *testing.T) {
	some := faults()
	if os.Getenv("TEST_LONG") != "1" {
		some = some[:4] // the bus itself is shown to survive the others
	}
	eachPostgres(t, func(t *testing.T, w *world) { breakNetwork(t, w, "RabbitMQ", some) })
}

func breakNetwork(t *testing.T, w *world, between string, list []fault) {
	proxied := func(target string) *faultproxy.Proxy { return faultproxy.Start(t, target) }
	databaseURL, database := through(t, proxied, w.url)
	busURL, bus := through(t, proxied, rabbitmqtest.Address())
	k := openBroker(t, busURL)
	options := w.quick
	options.Window, options.PublishTimeout, options.StatementTimeout = 50, time.Second, time.Second
	publisher := newOutbox(t, connect(t, databaseURL), k.bus, options)
	start(t, publisher)
	l := startLoad(t, w.db, 3)
	proxy := database
	if between == "RabbitMQ" {
		proxy = bus
	}
	for range rounds(1, 5) {
		for _, fault := range list {
			began := time.Now()
			before := publisher.Stats()
			fault.begin(proxy)
			eventually(t, "it went on, or said that it cannot: "+fault.name, func() bool {
				now := publisher.Stats()
				// A fault must be noticed by itself, also where nobody is told.
				noticed := now.Failures > before.Failures || publisher.Ready() != nil
				return noticed || !fault.quiet && now.Sent > before.Sent+100
			})
			if fault.name == "gone" {
				proxy.Up()
			}
			noticed := time.Since(began)
			proxy.Heal()
			progress(t, publisher, fault.name)
			t.Logf("%s: told or passed after %s, over after %s", fault.name, noticed.Round(time.Millisecond), time.Since(began).Round(time.Millisecond))
		}
	}
	if w.quick.Reader == outbox.Capture {
		eventually(t, "the server streams again", func() bool { return publisher.Stats().Streaming })
	}
	l.quiet(t)
	l.check(t, k.ids(t))
}

func progress(t *testing.T, o *outbox.Outbox, after string) {
	t.Helper()
	sent := o.Stats().Sent
	eventually(t, "it went on after "+after, func() bool { return o.Stats().Sent > sent+100 })
}
