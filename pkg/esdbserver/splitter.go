package esdbserver

import (
	"bytes"
	"crypto/tls"
	"errors"
	"net"
	"sync"
	"time"
)

// http2Preface begins every HTTP/2 connection with prior knowledge (RFC 9113, section 3.4). No HTTP/1.1 request begins
// with its first bytes.
const http2Preface = "PRI "

// prefaceTimeout is how long a new connection may stay silent.
const prefaceTimeout = 10 * time.Second

// splitter shares one port between gRPC and HTTP/1.1: it looks at the first bytes of a connection and passes it to the
// server that speaks its protocol. Both servers then work on the connection itself, with nothing in between. With TLS the
// splitter also does the handshake, and looks at what comes out of it.
type splitter struct {
	listener     net.Listener
	tls          *tls.Config // nil: in the clear
	http2, http1 *side

	mu        sync.Mutex
	undecided map[net.Conn]struct{}
	closed    bool
	deciding  sync.WaitGroup
}

func newSplitter(listener net.Listener, config *tls.Config) *splitter {
	return &splitter{
		listener:  listener,
		tls:       config,
		http2:     &side{addr: listener.Addr(), conns: make(chan net.Conn), done: make(chan struct{})},
		http1:     &side{addr: listener.Addr(), conns: make(chan net.Conn), done: make(chan struct{})},
		undecided: map[net.Conn]struct{}{},
	}
}

// run accepts connections until the listener is closed.
func (s *splitter) run() error {
	defer s.close()
	for {
		c, err := s.listener.Accept()
		if err != nil {
			var temporary interface{ Temporary() bool }
			if errors.As(err, &temporary) && temporary.Temporary() {
				// Out of file descriptors, or the client was gone already: the next one may do better.
				select {
				case <-time.After(5 * time.Millisecond):
					continue
				case <-s.http1.done:
				}
			}
			return err
		}
		if !s.track(c) {
			c.Close()
			continue
		}
		go s.decide(c)
	}
}

func (s *splitter) track(c net.Conn) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.undecided[c] = struct{}{}
	s.deciding.Add(1)
	return true
}

func (s *splitter) decide(raw net.Conn) {
	defer s.deciding.Done()
	c, first, err := s.listen(raw)
	s.mu.Lock()
	delete(s.undecided, raw)
	s.mu.Unlock()
	if err != nil {
		raw.Close()
		return
	}
	to := s.http1
	if string(first) == http2Preface {
		to = s.http2
	}
	select {
	case to.conns <- &replayed{Conn: c, first: first}:
	case <-to.done:
		c.Close()
	}
}

// listen hears how a connection begins, below its encryption.
func (s *splitter) listen(raw net.Conn) (c net.Conn, first []byte, err error) {
	if c, err = encrypt(raw, s.tls); err == nil {
		first, err = readPreface(c)
	}
	return c, first, err
}

// readPreface reads until the bytes differ from the preface or are all of it.
func readPreface(c net.Conn) ([]byte, error) {
	if err := c.SetReadDeadline(time.Now().Add(prefaceTimeout)); err != nil {
		return nil, err
	}
	first := make([]byte, 0, len(http2Preface))
	for len(first) < len(http2Preface) && bytes.HasPrefix([]byte(http2Preface), first) {
		n, err := c.Read(first[len(first):cap(first)])
		if err != nil {
			return nil, err
		}
		first = first[:len(first)+n]
	}
	return first, c.SetReadDeadline(time.Time{})
}

// close stops accepting and drops the connections that have not said anything yet.
func (s *splitter) close() {
	s.mu.Lock()
	already := s.closed
	s.closed = true
	for c := range s.undecided {
		c.Close()
	}
	s.mu.Unlock()
	if already {
		return
	}
	s.listener.Close()
	_ = s.http2.Close() // never fails
	_ = s.http1.Close() // never fails
	s.deciding.Wait()
}

// side is one protocol's half of the port.
type side struct {
	addr  net.Addr
	conns chan net.Conn
	done  chan struct{}
	once  sync.Once
}

func (l *side) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *side) Close() error {
	l.once.Do(func() { close(l.done) })
	return nil
}

func (l *side) Addr() net.Addr { return l.addr }

// replayed is a connection whose first bytes were read already.
type replayed struct {
	net.Conn
	first []byte
}

func (c *replayed) Read(p []byte) (int, error) {
	if len(c.first) == 0 {
		return c.Conn.Read(p)
	}
	n := copy(p, c.first)
	c.first = c.first[n:]
	return n, nil
}
