package rabbitmq_test

import (
	"encoding/binary"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
)

// deafProxy loses certain answers of the broker and nothing else: the connection
// works, its heartbeats come, and yet nobody learns what became of a request. A
// proxy that knows no AMQP cannot do that. It can also cut every connection, and
// leaves no goroutine behind then, which the conformance suite would notice.
type deafProxy struct {
	listener net.Listener
	running  sync.WaitGroup
	deaf     atomic.Pointer[func(frame []byte) bool] // to which frames; nil: to none
	lost     atomic.Int64

	mu   sync.Mutex
	open map[net.Conn]struct{} // of clients
}

func (p *deafProxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for client := range p.open {
		_ = client.Close()
	}
}

// connections are open at the moment.
func (p *deafProxy) connections() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.open)
}

// lose loses the frames of the broker that are of a kind, until it is told another.
func (p *deafProxy) lose(kind func(frame []byte) bool) { p.deaf.Store(&kind) }

func (p *deafProxy) loseNothing() { p.deaf.Store(nil) }

func startDeafProxy(t testing.TB, target string) *deafProxy {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &deafProxy{listener: listener, open: map[net.Conn]struct{}{}}
	p.running.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial("tcp", target)
			if err != nil {
				_ = client.Close()
				continue
			}
			p.running.Go(func() { p.carry(client, server) })
		}
	})
	t.Cleanup(func() {
		_ = listener.Close()
		p.running.Wait() // the bus, closed before, has closed its connections
	})
	return p
}

func (p *deafProxy) carry(client, server net.Conn) {
	p.mu.Lock()
	p.open[client] = struct{}{}
	p.mu.Unlock()
	defer func() {
		_ = client.Close()
		_ = server.Close()
		p.mu.Lock()
		delete(p.open, client)
		p.mu.Unlock()
	}()
	p.running.Go(func() {
		_, _ = io.Copy(server, client)
		_ = server.Close()
	})
	for {
		frame, err := readFrame(server)
		if err != nil {
			return
		}
		if deaf := p.deaf.Load(); deaf != nil && (*deaf)(frame) {
			p.lost.Add(1)
			continue
		}
		if _, err := client.Write(frame); err != nil {
			return
		}
	}
}

// readFrame reads one frame (AMQP 0-9-1, 2.3): its type, its channel and its
// size in seven bytes, the payload, and an end byte.
func readFrame(from io.Reader) ([]byte, error) {
	frame := make([]byte, 7)
	if _, err := io.ReadFull(from, frame); err != nil {
		return nil, err
	}
	rest := make([]byte, int(binary.BigEndian.Uint32(frame[3:]))+1)
	_, err := io.ReadFull(from, rest)
	return append(frame, rest...), err
}

// isConfirm recognises basic.ack and basic.nack, methods 80 and 120 of class 60.
func isConfirm(frame []byte) bool { return isMethod(frame, 60, 80) || isMethod(frame, 60, 120) }

// isDeclared recognises queue.declare-ok, method 11 of class 50, for a queue.
func isDeclared(frame []byte, queue string) bool {
	return isMethod(frame, 50, 11) && strings.HasPrefix(string(frame[11:]), string(rune(len(queue)))+queue)
}

// isChannelClosed recognises channel.close-ok, method 41 of class 20.
func isChannelClosed(frame []byte) bool { return isMethod(frame, 20, 41) }

// isChannelRefused recognises channel.close, method 40 of class 20, with a reply code.
func isChannelRefused(frame []byte, code uint16) bool {
	return isMethod(frame, 20, 40) && binary.BigEndian.Uint16(frame[11:]) == code
}

func isMethod(frame []byte, class, method uint16) bool {
	return frame[0] == 1 && len(frame) >= 11 && binary.BigEndian.Uint16(frame[7:]) == class && binary.BigEndian.Uint16(frame[9:]) == method
}
