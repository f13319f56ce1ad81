package e2e

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"orderflow/pkg/porttest"
)

// patience is how long anything may take to come about. It is generous: it only
// decides how long a failure takes.
const patience = 60 * time.Second

// system is the running system: processes and where they answer.
type system struct {
	// urls are the addresses of the services, by name.
	urls map[string]string
	// processes in the order of starting.
	processes []*process
	// separate says that every service has a process of its own.
	separate bool
	// bus is the URL of the event bus, databases are those of the services'
	// databases: for tests that play a stranger or a mistake.
	bus       string
	databases map[string]string
	// eventStore is the connection string of the event store.
	eventStore string
	// broker is the broker behind the bus when it is the test's own; it can be
	// stopped then.
	broker *process
	dir    string
}

// embedded is the whole system in one process, on nothing but a folder, with
// further settings.
func embedded(t testing.TB, settings ...string) *system {
	t.Helper()
	s := newSystem(t)
	ports := freePorts(t, len(services)+1)
	data := filepath.Join(s.dir, "data")
	s.bus = "sqlite://" + filepath.Join(data, "bus.db")
	env := append([]string{"EVENTSTORE_ADDR=127.0.0.1:" + ports[0]}, settings...)
	s.eventStore = "esdb://127.0.0.1:" + ports[0] + "?tls=false"
	for i, name := range services {
		env = append(env, strings.ToUpper(name)+"_ADDR="+s.listensOn(name, ports[i+1]))
		s.databases[name] = "sqlite://" + filepath.Join(data, name+".db")
	}
	s.add("orderflow", programs.path(t, "orderflow", "orderflow/cmd/orderflow"), []string{"run", "--data", data}, env)
	s.start(t)
	return s
}

// servers are what separate processes share, and how each service gets a
// database of its own.
type servers struct {
	bus        string
	broker     *process // the broker of the bus when it is the test's own
	eventStore string   // empty: the embedded one, as a process
	database   func(service string) string
}

// separateProcesses is every service as a process of its own, on servers.
func separateProcesses(t testing.TB, on servers) *system {
	t.Helper()
	s := newSystem(t)
	s.separate, s.bus, s.broker = true, on.bus, on.broker
	ports := freePorts(t, len(services)+1)
	if on.eventStore == "" {
		addr := "127.0.0.1:" + ports[0]
		s.add("eventstore", programs.path(t, "eventstore", "orderflow/cmd/eventstore"),
			[]string{"--listen", addr, "--data", filepath.Join(s.dir, "eventstore")}, nil)
		on.eventStore = "esdb://" + addr + "?tls=false"
	}
	s.eventStore = on.eventStore
	shared := []string{"EVENTBUS_URL=" + on.bus, "EVENTSTORE_URL=" + on.eventStore}
	addrs := map[string]string{}
	for i, name := range services {
		addrs[name] = s.listensOn(name, ports[i+1])
		shared = append(shared, strings.ToUpper(name)+"_URL="+s.urls[name]) // for the console
	}
	for _, name := range services {
		s.databases[name] = on.database(name)
		env := append([]string{"HTTP_ADDR=" + addrs[name], "DATABASE_URL=" + s.databases[name]}, shared...)
		s.add(name, programs.path(t, name, "orderflow/services/"+name+"/cmd"), nil, env)
	}
	s.start(t)
	return s
}

func newSystem(t testing.TB) *system {
	s := &system{urls: map[string]string{}, databases: map[string]string{}, dir: t.TempDir()}
	t.Cleanup(func() {
		for _, p := range s.processes {
			p.kill()
		}
	})
	return s
}

func (s *system) listensOn(name, port string) string {
	s.urls[name] = "http://127.0.0.1:" + port
	return "127.0.0.1:" + port
}

// add describes a process. It gets the environment of a freshly opened shell
// and what is listed, nothing that happens to be set where the tests run.
func (s *system) add(name, path string, args, env []string) {
	for _, inherited := range []string{"PATH", "HOME", "TMPDIR", "LOG_LEVEL"} {
		if value, ok := os.LookupEnv(inherited); ok {
			env = append(env, inherited+"="+value)
		}
	}
	s.processes = append(s.processes, &process{name: name, path: path, args: args, env: env, dir: s.dir})
}

func (s *system) process(t testing.TB, name string) *process {
	t.Helper()
	for _, p := range s.processes {
		if p.name == name {
			return p
		}
	}
	t.Fatalf("no process %s", name)
	return nil
}

// start starts all processes and waits until every service is ready.
func (s *system) start(t testing.TB) {
	t.Helper()
	for _, p := range s.processes {
		if err := p.start(); err != nil {
			t.Fatal(err)
		}
	}
	s.ready(t, services...)
}

// ready waits until the services say that they work. A process that has ended
// never will.
func (s *system) ready(t testing.TB, names ...string) {
	t.Helper()
	for _, name := range names {
		eventually(t, name+" is ready", func() error {
			for _, p := range s.processes {
				if how, ended := p.hasEnded(); ended && (p.name == name || !s.separate) {
					return final{fmt.Errorf("%s ended (%s):%s", p.name, how, p.tail())}
				}
			}
			return s.readyz(t.Context(), name)
		})
	}
}

func (s *system) readyz(ctx context.Context, name string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.urls[name]+"/readyz", nil)
	if err != nil {
		return err
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // read to the end below
	body, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = errors.New(string(body))
	}
	return err
}

// kill ends everything as a loss of power would, all at once.
func (s *system) kill() {
	for _, p := range s.processes {
		_ = p.command.Process.Kill() // first all of them, so that nobody can finish
	}
	for _, p := range s.processes {
		p.kill()
	}
}

// stop ends everything in good order, the services before what they use.
func (s *system) stop(t testing.TB) {
	t.Helper()
	for i := len(s.processes) - 1; i >= 0; i-- {
		if err := s.processes[i].stop(patience); err != nil {
			t.Error(err)
		}
	}
}

// logs shows what the processes had to say lately.
func (s *system) logs(t testing.TB) {
	t.Helper()
	for _, p := range s.processes {
		t.Logf("log of %s:%s", p.name, p.tail())
	}
}

// freePorts are ports that are still free when a process that was killed is
// started again.
func freePorts(t testing.TB, n int) []string {
	t.Helper()
	first := porttest.For(t, n)
	ports := make([]string, n)
	for i := range ports {
		ports[i] = strconv.Itoa(first + i)
	}
	return ports
}
