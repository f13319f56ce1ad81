package main

import (
	"cmp"
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	amqp "github.com/rabbitmq/amqp091-go"
)

// realServers makes the world use the servers of the tests, and skips the test where there are none.
func (w *world) realServers() {
	w.t.Helper()
	w.environ["EVENTBUS_URL"] = cmp.Or(os.Getenv("TEST_EVENTBUS_URL"), usualRabbitMQ)
	w.environ["POSTGRES_URL"] = withSmallPools(w.t, cmp.Or(os.Getenv("TEST_DATABASE_URL"), usualPostgres))
	for _, server := range []string{w.environ["EVENTBUS_URL"], w.environ["POSTGRES_URL"]} {
		address := regexp.MustCompile(`@([^/]+)`).FindStringSubmatch(server)
		if address == nil {
			w.t.Fatal("the URL of a server names no host")
		}
		conn, err := net.DialTimeout("tcp", address[1], 5*time.Second)
		if err != nil && os.Getenv("REQUIRE_REAL") == "1" {
			w.t.Fatalf("required here: %v", err)
		}
		if err != nil {
			w.t.Skip(err)
		}
		conn.Close()
	}
}

// withSmallPools is a PostgreSQL for services that leave connections to the other packages which are tested at the same
// time: a system of seven services would take more than half of the hundred that a server has when nobody says otherwise.
// With three a handler has a second one to ask on beside its transaction, and a call over HTTP one of its own.
func withSmallPools(t *testing.T, rawURL string) string {
	t.Helper()
	address, err := url.Parse(rawURL)
	if err != nil {
		t.Fatal("TEST_DATABASE_URL is no URL")
	}
	query := address.Query()
	query.Set("pool_max_conns", "3")
	address.RawQuery = query.Encode()
	return address.String()
}

// databases lists those whose names begin so.
func (w *world) databases(prefix string) []string {
	w.t.Helper()
	conn, err := pgx.Connect(w.t.Context(), cmp.Or(os.Getenv("TEST_DATABASE_URL"), usualPostgres))
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close(context.Background())
	rows, err := conn.Query(w.t.Context(), `SELECT datname FROM pg_database WHERE starts_with(datname, $1)`, prefix)
	if err != nil {
		w.t.Fatal(err)
	}
	names, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		w.t.Fatal(err)
	}
	return names
}

// leavesNothing looks for what a system of this name could have left on the servers.
func (w *world) leavesNothing(name string) {
	w.t.Helper()
	if left := w.databases(name); len(left) > 0 {
		w.t.Errorf("databases are left: %q", left)
	}
	conn, err := amqp.Dial(w.environ["EVENTBUS_URL"])
	if err != nil {
		w.t.Fatal(err)
	}
	defer conn.Close()
	isThere := func(what string, declare func(*amqp.Channel) error) {
		channel, err := conn.Channel() // a channel of its own: a name that is not there closes it
		if err != nil {
			w.t.Fatal(err)
		}
		if declare(channel) == nil {
			w.t.Errorf("%s is left", what)
		}
	}
	for _, queue := range []string{"unrouted", "order", "order.dead", "order.bindings", "packing", "packing.dead", "crm", "reporting", "dispatch"} {
		isThere(queue, func(c *amqp.Channel) error {
			_, err := c.QueueDeclarePassive(name+"."+queue, true, false, false, false, nil)
			return err
		})
	}
	for exchange, kind := range map[string]string{"events": "topic", "commands": "topic", "unrouted": "fanout"} {
		isThere(exchange, func(c *amqp.Channel) error {
			return c.ExchangeDeclarePassive(name+"."+exchange, kind, true, false, false, false, nil)
		})
	}
}

var roomName = regexp.MustCompile(`everything there is named (\w+)\)`)

func TestLoadOnRealServersLeavesNothingThere(t *testing.T) {
	w := newWorld(t)
	w.realServers()
	out := w.must("load", "--real", "--rate", "20", "--duration", "1s")
	if !strings.Contains(out, "accepted                       20\n") || !strings.Contains(out, "(20 orders looked at)") {
		t.Errorf("at a rate:\n%s", out)
	}
	name := roomName.FindStringSubmatch(out)
	if name == nil {
		t.Fatalf("it does not say where it is:\n%s", out)
	}
	w.leavesNothing(name[1])
}

func TestLoadThatIsInterruptedLeavesNothingOnRealServers(t *testing.T) {
	w := newWorld(t)
	w.realServers()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var out, log locked
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"load", "--real", "--clients", "2", "--orders", "1000000"}, terminal{Out: &out, Err: &log, Environ: w.environ})
	}()
	eventually(t, "orders are being placed", func() bool { return strings.Contains(out.String(), "1000000 orders by 2 clients") })
	name := roomName.FindStringSubmatch(out.String())[1]
	if made := w.databases(name); len(made) == 0 {
		t.Error("the test is wrong: there is nothing to leave")
	}
	stop()
	if code := <-ended; code != 1 {
		t.Errorf("exit code %d:\n%s", code, log.String())
	}
	w.leavesNothing(name)
}

func TestServerThatDoesNotAnswerIsNamedWithTheSettingToChange(t *testing.T) {
	w := newWorld(t)
	w.realServers()
	for setting, pattern := range map[string]string{
		"EVENTBUS_URL": "amqp://guest:s3cret@%s/", "POSTGRES_URL": "postgres://postgres:s3cret@%s/postgres?sslmode=disable",
	} {
		t.Run(setting, func(t *testing.T) {
			listener, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			nobody := listener.Addr().String()
			listener.Close()
			before := w.environ[setting]
			defer func() { w.environ[setting] = before }()
			w.environ[setting] = fmt.Sprintf(pattern, nobody)
			s := w.orderflow("load", "--real", "--rate", "1")
			if s.code != 1 || !strings.Contains(s.err, nobody) && !strings.Contains(s.err, "refused") || !strings.Contains(s.err, setting) || strings.Contains(s.err, "s3cret") {
				t.Errorf("%+v", s)
			}
		})
	}
}
