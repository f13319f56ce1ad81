package rabbitmqtest

import (
	"cmp"
	"crypto/rand"
	"os"
	"strings"
	"testing"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"

	"orderflow/pkg/eventbus/rabbitmq"
)

// Prefix begins the name of every namespace of a test, so that what is left of
// one can be told from what a system needs.
const Prefix = "test-"

// Address is where a broker answers on a machine that has one, or what
// TEST_EVENTBUS_URL says.
func Address() string {
	return cmp.Or(os.Getenv("TEST_EVENTBUS_URL"), "amqp://guest:guest@127.0.0.1:5672/")
}

// Answers returns nil when a broker takes connections there.
func Answers() error {
	conn, err := amqp.DialConfig(Address(), amqp.Config{Dial: amqp.DefaultDial(5 * time.Second)})
	if err != nil {
		return err
	}
	return conn.Close()
}

// URL is the address of a broker that answers. Without one the test is skipped,
// and fails where REQUIRE_REAL is 1.
func URL(t testing.TB) string {
	t.Helper()
	err := Answers()
	if err != nil && os.Getenv("REQUIRE_REAL") == "1" {
		t.Fatalf("RabbitMQ is required here: %v", err)
	}
	if err != nil {
		t.Skipf("no RabbitMQ: %v", err)
	}
	return Address()
}

// NewNamespace is a name that no other namespace has.
func NewNamespace() string { return Prefix + strings.ToLower(rand.Text()[:12]) }

// Namespace is a namespace at the broker of the URL that is removed when the
// test is over, with the queues of these names in it. What is closed by clean-ups
// registered later is closed by then, as a bus must be.
func Namespace(t testing.TB, url string, queues ...string) string {
	t.Helper()
	namespace := NewNamespace()
	t.Cleanup(func() { Remove(t, url, namespace, queues...) })
	return namespace
}

// Remove is [rabbitmq.RemoveNamespace] at the broker of the URL.
func Remove(t testing.TB, url, namespace string, queues ...string) {
	t.Helper()
	conn, err := amqp.Dial(url)
	if err != nil {
		t.Errorf("clean up at the broker: %v", err)
		return
	}
	defer conn.Close()
	if err := rabbitmq.RemoveNamespace(conn, namespace, queues...); err != nil {
		t.Errorf("clean up at the broker: %v", err)
	}
}
