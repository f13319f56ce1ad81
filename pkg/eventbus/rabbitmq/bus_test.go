package rabbitmq_test

import (
	"context"
	"log/slog"
	"maps"
	"net"
	"os"
	"slices"
	"strconv"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/eventbustest"
	"orderflow/pkg/eventbus/rabbitmq"
	"orderflow/pkg/eventbus/rabbitmq/rabbitmqtest"
	"orderflow/pkg/faultproxy"
)

func TestRabbitMQBusKeepsThePromises(t *testing.T) {
	requireBroker(t)
	eventbustest.Run(t, func(t *testing.T) eventbustest.Harness {
		w := newWorld(t)
		p := startDeafProxy(t, w.broker)
		w.url = w.through(t, p.listener.Addr().String())
		h := w.harness()
		h.Interrupt = func(testing.TB) { p.cut() }
		return h
	})
}

func (w *world) harness() eventbustest.Harness {
	return eventbustest.Harness{
		Open:      func(t testing.TB) eventbus.Bus { return w.open(t) },
		Interrupt: func(testing.TB) { w.proxy.Cut() },
		Inject: func(t testing.TB, typ string, body []byte) {
			t.Helper()
			w.publishRaw(t, w.namespace+".events", typ, amqp.Publishing{Body: body})
		},
	}
}

func requireBroker(t testing.TB) {
	t.Helper()
	rabbitmqtest.URL(t)
}

// world is a namespace of its own, reached through a proxy that can be cut, and
// removed from the broker with the test.
type world struct {
	namespace string
	broker    string // host:port, past the proxy
	direct    string // URL, past the proxy
	proxy     *faultproxy.Proxy
	url       string
	raw       *amqp.Connection // past the bus and the proxy
	queues    map[string]bool  // as the bus calls them, to be removed
}

func newWorld(t testing.TB) *world {
	t.Helper()
	return newWorldAt(t, rabbitmqtest.URL(t))
}

func newWorldAt(t testing.TB, url string) *world {
	t.Helper()
	uri, err := amqp.ParseURI(url)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := amqp.Dial(url)
	if err != nil {
		t.Fatal(err)
	}
	w := &world{
		namespace: rabbitmqtest.NewNamespace(),
		broker:    net.JoinHostPort(uri.Host, strconv.Itoa(uri.Port)),
		direct:    url, raw: raw, queues: map[string]bool{},
	}
	w.proxy = faultproxy.Start(t, w.broker)
	w.url = w.through(t, w.proxy.Address())
	t.Cleanup(func() {
		_ = w.raw.Close()
		rabbitmqtest.Remove(t, url, w.namespace, slices.Collect(maps.Keys(w.queues))...)
	})
	return w
}

// through is the broker's URL with another address.
func (w *world) through(t testing.TB, address string) string {
	t.Helper()
	uri, err := amqp.ParseURI(w.direct)
	if err != nil {
		t.Fatal(err)
	}
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	uri.Host = host
	if uri.Port, err = strconv.Atoi(port); err != nil {
		t.Fatal(err)
	}
	return uri.String()
}

// open opens a bus that notes which queues the test makes.
func (w *world) open(t testing.TB) eventbus.Bus {
	t.Helper()
	return w.openWith(t, w.config())
}

func (w *world) openWith(t testing.TB, cfg rabbitmq.Config) eventbus.Bus {
	t.Helper()
	bus, err := rabbitmq.Open(t.Context(), cfg)
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return notingBus{bus, w}
}

// openBehind is open for a bus that reaches the broker through proxy.
func (w *world) openBehind(t testing.TB, proxy *deafProxy) eventbus.Bus {
	t.Helper()
	cfg := w.config()
	cfg.URL = w.through(t, proxy.listener.Addr().String())
	return w.openWith(t, cfg)
}

func (w *world) config() rabbitmq.Config {
	cfg := rabbitmq.Config{URL: w.url, Namespace: w.namespace, ConnectionName: "test"}
	if os.Getenv("BUS_LOG") != "" {
		cfg.Logger = slog.New(slog.NewTextHandler(os.Stderr, nil))
	}
	return cfg
}

type notingBus struct {
	*rabbitmq.Bus
	world *world
}

func (b notingBus) Subscribe(ctx context.Context, q eventbus.Queue, h eventbus.Handler) (eventbus.Subscription, error) {
	b.world.note(q.Name)
	return b.Bus.Subscribe(ctx, q, h)
}

func (w *world) note(queue string) { w.queues[queue] = true }

func (w *world) channel(t testing.TB) *amqp.Channel {
	t.Helper()
	if w.raw.IsClosed() { // the broker was restarted
		raw, err := amqp.Dial(w.direct)
		if err != nil {
			t.Fatal(err)
		}
		w.raw = raw
	}
	ch, err := w.raw.Channel()
	if err != nil {
		t.Fatalf("open channel: %v", err)
	}
	return ch
}

// publishRaw publishes past the bus and waits for the confirm.
func (w *world) publishRaw(t testing.TB, exchange, key string, p amqp.Publishing) {
	t.Helper()
	ch := w.channel(t)
	defer ch.Close()
	if err := ch.Confirm(false); err != nil {
		t.Fatal(err)
	}
	confirmation, err := ch.PublishWithDeferredConfirm(exchange, key, true, false, p)
	if err != nil {
		t.Fatal(err)
	}
	if ok, err := confirmation.WaitContext(t.Context()); err != nil || !ok {
		t.Fatalf("publish: confirmed %v, %v", ok, err)
	}
}
