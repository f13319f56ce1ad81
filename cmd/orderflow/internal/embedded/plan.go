package embedded

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net"
	"strings"
	"syscall"

	"orderflow/cmd/orderflow/internal/datadir"
	"orderflow/pkg/service"
)

// Plan says what will run where. It is made before anything starts, so that an address that is taken is found before
// anybody has written a byte.
type Plan struct {
	// URLs are where the services will answer, by name.
	URLs map[string]string
	// EventStoreURL is the connection string of the event store.
	EventStoreURL string

	dir            datadir.Dir
	eventStoreAddr string // empty when the event store is somebody else's
	busURL         string
	services       []planned
}

// planned is a service with its environment.
type planned struct {
	part
	environ map[string]string
}

// NewPlan reads the settings. Every setting that cannot work is named in the error, which has one line.
func NewPlan(ctx context.Context, dir datadir.Dir, environ map[string]string) (Plan, error) {
	plan := Plan{
		URLs:          map[string]string{},
		EventStoreURL: environ["EVENTSTORE_URL"],
		busURL:        environ["EVENTBUS_URL"],
		dir:           dir,
	}
	var problems []string
	// Each address is held until all are chosen, so that none is given twice.
	var held []net.Listener
	defer func() {
		for _, listener := range held {
			_ = listener.Close() // nobody has connected yet
		}
	}()
	claim := func(variable, addr string) string {
		if set := environ[variable]; set != "" {
			addr = set
		}
		free, listener, err := hold(ctx, addr)
		if err != nil {
			problems = append(problems, fmt.Sprintf("%s: %v", variable, err))
			return addr
		}
		held = append(held, listener)
		return free
	}
	if plan.busURL == "" {
		plan.busURL = "sqlite://" + dir.Bus()
	}
	if plan.EventStoreURL == "" {
		plan.eventStoreAddr = claim("EVENTSTORE_ADDR", "127.0.0.1:2113")
		plan.EventStoreURL = "esdb://" + reachable(plan.eventStoreAddr) + "?tls=false"
	}
	for _, p := range parts() {
		p.addr = claim(Variable(p.name, "ADDR"), p.addr)
		plan.URLs[p.name] = "http://" + reachable(p.addr)
		plan.services = append(plan.services, planned{part: p})
	}
	if len(problems) > 0 {
		return Plan{}, fmt.Errorf("%w: %s", service.ErrSettings, strings.Join(problems, "; "))
	}
	for i, p := range plan.services {
		plan.services[i].environ = plan.environ(p.part, environ)
	}
	return plan, nil
}

// environ is the environment of one service.
func (p Plan) environ(of part, outer map[string]string) map[string]string {
	environ := maps.Clone(outer)
	if environ == nil {
		environ = map[string]string{}
	}
	environ["HTTP_ADDR"] = of.addr
	environ["EVENTSTORE_URL"] = p.EventStoreURL
	environ["EVENTBUS_URL"] = p.busURL
	environ["DATABASE_URL"] = outer["DATABASE_URL_"+strings.ToUpper(of.name)]
	if environ["DATABASE_URL"] == "" {
		environ["DATABASE_URL"] = "sqlite://" + p.dir.Database(of.name)
	}
	for name, url := range p.URLs {
		if variable := Variable(name, "URL"); environ[variable] == "" {
			environ[variable] = url
		}
	}
	return environ
}

// hold listens on addr, and returns it with the port that was taken in place of port 0.
func hold(ctx context.Context, addr string) (string, net.Listener, error) {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return "", nil, err
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", addr)
	if errors.Is(err, syscall.EADDRINUSE) {
		return "", nil, fmt.Errorf("%s is taken already, name another address", addr)
	}
	if err != nil {
		return "", nil, err
	}
	_, port, err := net.SplitHostPort(listener.Addr().String())
	if err != nil {
		return "", nil, errors.Join(err, listener.Close())
	}
	return net.JoinHostPort(host, port), listener, nil
}

// reachable is an address at which a listener on addr answers callers on this machine.
func reachable(addr string) string {
	host, port, err := net.SplitHostPort(addr)
	if err != nil {
		return addr // refused by hold
	}
	if ip := net.ParseIP(host); host == "" || ip != nil && ip.IsUnspecified() {
		host = "127.0.0.1"
	}
	return net.JoinHostPort(host, port)
}
