package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	amqp "github.com/rabbitmq/amqp091-go"

	"orderflow/pkg/eventbus"
)

// brokerScript starts a broker as the user who calls it, unlike the wrapper on
// the PATH, which wants to become another user first.
const brokerScript = "/usr/lib/rabbitmq/bin/rabbitmq-server"

// startBroker starts a RabbitMQ that nobody else uses. It does not wait for it:
// services do.
func startBroker(t testing.TB) (server string, broker *process) {
	t.Helper()
	ports, dir := freePorts(t, 2), t.TempDir()
	plugins := filepath.Join(dir, "plugins")
	if err := os.WriteFile(plugins, []byte("[].\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	broker = &process{name: "rabbitmq", path: brokerScript, dir: dir, group: true, env: []string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir, "LANG=C.UTF-8",
		"RABBITMQ_NODENAME=e2e" + ports[0] + "@localhost",
		"RABBITMQ_NODE_PORT=" + ports[0],
		"RABBITMQ_DIST_PORT=" + ports[1],
		"RABBITMQ_MNESIA_BASE=" + filepath.Join(dir, "data"),
		"RABBITMQ_LOG_BASE=" + filepath.Join(dir, "log"),
		"RABBITMQ_ENABLED_PLUGINS_FILE=" + plugins,
		"RABBITMQ_CONFIG_FILE=" + filepath.Join(dir, "none"),
		"RABBITMQ_CONF_ENV_FILE=/dev/null",
	}}
	if err := broker.start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(broker.kill)
	return "amqp://guest:guest@127.0.0.1:" + ports[0] + "/", broker
}

// stoppedBrokerLosesNothing stops the broker under orders, and lets people go on
// without it.
func stoppedBrokerLosesNothing(w *world) {
	if w.broker == nil {
		w.t.Skip("the broker is not the test's own")
	}
	anna := w.Customer("Anna")
	w.Product("pot", 990, "EUR")
	parcel := anna.Orders(line("pot", 1))
	w.Packer().Sees(parcel, "pending")
	crowd := newCrowd(w, 200)
	crowd.reaches(20)
	// The way it ends is its own business.
	if err := w.broker.stop(patience); err != nil && !strings.Contains(err.Error(), "stopped with") {
		w.t.Fatal(err)
	}
	var orders []*order
	for n := range 20 {
		orders = append(orders, anna.Orders(line("pot", int64(n+1)))) // the order service needs nobody else for that
	}
	w.Packer().Packs(parcel) // nor does packing
	a := w.call(request{service: "packing", method: http.MethodGet, path: "/readyz"})
	if err := a.must(http.StatusServiceUnavailable); err != nil || !strings.Contains(string(a.body), "EVENTBUS_URL") {
		w.t.Errorf("packing is ready without a broker: %v, %s", err, a.body)
	}
	if now := parcel.Now(); now.Status != "placed" {
		w.t.Errorf("the test is wrong: the order is %s although nobody can tell it so", now.Status)
	}

	if err := w.broker.start(); err != nil {
		w.t.Fatal(err)
	}
	w.ready(w.t, services...)
	parcel.Becomes("packed")
	for _, o := range orders {
		w.Packer().Sees(o, "pending")
	}
	crowd.wait()
	w.everyKeyIsOneOrder(crowd)
	w.AddsUp()
}

// deletedQueuesComeBack deletes the queue of every service while it is consumed.
// What was in one is gone with it, so they are empty.
func deletedQueuesComeBack(w *world) {
	if !strings.HasPrefix(w.bus, "amqp") {
		w.t.Skip("there is no broker")
	}
	w.AddsUp()
	address, err := url.Parse(w.bus)
	if err != nil {
		w.t.Fatal("the URL of the bus is not one")
	}
	namespace := address.Query().Get("namespace")
	address.RawQuery = ""
	conn, err := amqp.Dial(address.String())
	if err != nil {
		w.t.Fatal(err)
	}
	defer func() { _ = conn.Close() }() // it is not used again
	consumers := []string{"order", "packing", "dispatch", "crm", "reporting"}
	channel, err := conn.Channel()
	if err != nil {
		w.t.Fatal(err)
	}
	for _, name := range consumers {
		for _, queue := range []string{name, name + eventbus.DeadSuffix} {
			if _, err := channel.QueueDelete(namespace+"."+queue, false, false, false); err != nil {
				w.t.Fatalf("delete %s: %v", queue, err)
			}
		}
	}
	for _, name := range consumers {
		w.Eventually("the queue of "+name+" is back and consumed", func() error { return isConsumed(conn, namespace+"."+name) })
		w.ready(w.t, name)
	}

	anna := w.Customer("Anna")
	w.Product("tea", 450, "EUR")
	o := anna.Orders(line("tea", 1))
	w.Packer().Packs(o)
	w.Dispatcher().Dispatches(o)
	o.Becomes("dispatched")
	w.crmShows(anna, o, "dispatched")
}

// isConsumed asks on a channel of its own: a queue that is not there closes it.
func isConsumed(conn *amqp.Connection, queue string) error {
	channel, err := conn.Channel()
	if err != nil {
		return final{err}
	}
	state, err := channel.QueueDeclarePassive(queue, true, false, false, false, nil)
	if err != nil {
		return err
	}
	if state.Consumers == 0 {
		err = fmt.Errorf("%s has no consumer", queue)
	}
	return errors.Join(err, channel.Close())
}
