package esdbservertest

import (
	"context"
	"net"
	"sync"

	"google.golang.org/grpc/peer"
)

// connections are those that clients have to the store.
type connections struct {
	mu   sync.Mutex
	open map[string]net.Conn // by the address of the client
}

// of makes the connections of a listener known.
func (c *connections) of(listener net.Listener) net.Listener {
	return &knowingListener{Listener: listener, known: c}
}

// cut breaks the connections that match.
func (c *connections) cut(matches func(client string) bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for client, conn := range c.open {
		if matches(client) {
			_ = conn.Close() // it is broken either way
			delete(c.open, client)
		}
	}
}

// cutCaller breaks the connection that a call came on.
func (c *connections) cutCaller(ctx context.Context) {
	if caller, ok := peer.FromContext(ctx); ok {
		c.cut(func(client string) bool { return client == caller.Addr.String() })
	}
}

type knowingListener struct {
	net.Listener
	known *connections
}

func (l *knowingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	l.known.mu.Lock()
	defer l.known.mu.Unlock()
	client := conn.RemoteAddr().String()
	if l.known.open == nil {
		l.known.open = map[string]net.Conn{}
	}
	l.known.open[client] = conn
	return &knownConn{Conn: conn, known: l.known, client: client}, nil
}

type knownConn struct {
	net.Conn
	known  *connections
	client string
}

// Close also forgets the connection, unless another one has come from the same address since.
func (c *knownConn) Close() error {
	c.known.mu.Lock()
	if c.known.open[c.client] == c.Conn {
		delete(c.known.open, c.client)
	}
	c.known.mu.Unlock()
	return c.Conn.Close()
}
