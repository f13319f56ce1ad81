package rabbitmq_test

import (
	"encoding/binary"
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
)

// proxy stands between a bus and the broker, and knows just enough AMQP to put
// a frame of its own between two others. It can
//   - cut every connection,
//   - refuse new ones, as a broker that is down does,
//   - swallow what the broker says, as a network that has died silently does,
//   - speak in the broker's name.
type proxy struct {
	target   string
	listener net.Listener
	running  sync.WaitGroup

	mu      sync.Mutex
	refuses bool
	open    map[*carried]struct{}
}

// carried is one connection through the proxy.
type carried struct {
	client, server net.Conn
	toClient       sync.Mutex // held for a whole frame
	swallow        atomic.Bool
}

func startProxy(t testing.TB, target string) *proxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{target: target, listener: listener, open: map[*carried]struct{}{}}
	p.running.Go(p.accept)
	t.Cleanup(func() {
		_ = listener.Close()
		p.refuse(true)
		p.running.Wait()
	})
	return p
}

func (p *proxy) address() string { return p.listener.Addr().String() }

func (p *proxy) accept() {
	for {
		client, err := p.listener.Accept()
		if err != nil {
			return
		}
		server, err := net.Dial("tcp", p.target)
		if err != nil {
			_ = client.Close()
			continue
		}
		c := &carried{client: client, server: server}
		p.mu.Lock()
		if p.refuses {
			c.close()
		} else {
			p.open[c] = struct{}{}
			p.running.Go(func() { p.carry(c) })
		}
		p.mu.Unlock()
	}
}

func (p *proxy) carry(c *carried) {
	p.running.Go(func() {
		_, _ = io.Copy(c.server, c.client)
		c.close()
	})
	c.copyFrames()
	c.close()
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.open, c)
}

func (c *carried) close() {
	_ = c.client.Close()
	_ = c.server.Close()
}

// copyFrames copies what the broker says. A frame (AMQP 0-9-1, 2.3) is its type,
// its channel and its size in seven bytes, the payload, and an end byte.
func (c *carried) copyFrames() {
	for {
		frame := make([]byte, 7)
		if _, err := io.ReadFull(c.server, frame); err != nil {
			return
		}
		rest := make([]byte, int(binary.BigEndian.Uint32(frame[3:]))+1)
		if _, err := io.ReadFull(c.server, rest); err != nil {
			return
		}
		if c.swallow.Load() {
			continue
		}
		if err := c.write(append(frame, rest...)); err != nil {
			return
		}
	}
}

func (c *carried) write(frame []byte) error {
	c.toClient.Lock()
	defer c.toClient.Unlock()
	_, err := c.client.Write(frame)
	return err
}

// each does something to every open connection.
func (p *proxy) each(do func(*carried)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.open {
		do(c)
	}
}

// cut breaks every connection at once, with whatever was on its way.
func (p *proxy) cut() {
	p.each(func(c *carried) {
		if tcp, ok := c.client.(*net.TCPConn); ok {
			_ = tcp.SetLinger(0) // a reset, not a farewell
		}
		c.close()
	})
}

// refuse makes the broker look down, or up again.
func (p *proxy) refuse(down bool) {
	p.mu.Lock()
	p.refuses = down
	p.mu.Unlock()
	if down {
		p.cut()
	}
}

// swallow loses whatever the broker says on the connections that are open now.
func (p *proxy) swallow() { p.each(func(c *carried) { c.swallow.Store(true) }) }

// block tells the bus that the broker blocks publishers: connection.blocked is
// method 60 of class 10, with a short string that says why.
func (p *proxy) block(why string) {
	p.say(append([]byte{0, 10, 0, 60, byte(len(why))}, why...))
}

// unblock takes it back: connection.unblocked is method 61.
func (p *proxy) unblock() { p.say([]byte{0, 10, 0, 61}) }

// say sends a method on channel 0 in the broker's name.
func (p *proxy) say(method []byte) {
	frame := append([]byte{1, 0, 0}, binary.BigEndian.AppendUint32(nil, uint32(len(method)))...)
	frame = append(append(frame, method...), 0xCE)
	p.each(func(c *carried) { _ = c.write(frame) })
}
