package rabbitmq

import (
	"context"
	"fmt"
	"net"
	"slices"
	"sync"
	"time"
)

const (
	// maxUnsent is how much may be waiting for the network before whoever writes
	// has to wait with it.
	maxUnsent = 16 << 20
	// maxPiece is how much has one deadline: a slow network that takes more than
	// nothing is not a dead one.
	maxPiece = 256 << 10
)

// wire gathers what is written while the previous write is on its way to the
// kernel, and sends it in one go: under load one system call carries dozens
// of publishes, and an idle connection sends at once. Each piece has a deadline,
// so a peer that stops reading cannot hold anyone longer than that.
type wire struct {
	net.Conn
	timeout time.Duration

	mu      sync.Mutex
	written sync.Cond // signalled when unsent shrinks or err is set
	unsent  []byte
	err     error
	kick    chan struct{}
	done    chan struct{}
	once    sync.Once
}

// dial opens the TCP connection. The deadline for the handshakes that follow is
// cleared by the AMQP library once it has finished them.
func dial(ctx context.Context, network, address string, handshake, write time.Duration) (*wire, error) {
	dialer := net.Dialer{Timeout: handshake}
	conn, err := dialer.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(handshake)); err != nil {
		_ = conn.Close()
		return nil, fmt.Errorf("set deadline: %w", err)
	}
	w := &wire{Conn: conn, timeout: write, kick: make(chan struct{}, 1), done: make(chan struct{})}
	w.written.L = &w.mu
	go w.flush()
	return w, nil
}

// Write takes p over and returns; an error it reports is one of an earlier write.
func (w *wire) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for w.err == nil && len(w.unsent) > maxUnsent {
		w.written.Wait()
	}
	if w.err != nil {
		return 0, w.err
	}
	w.unsent = append(w.unsent, p...)
	select {
	case w.kick <- struct{}{}:
	default:
	}
	return len(p), nil
}

func (w *wire) flush() {
	var sending []byte
	for {
		select {
		case <-w.kick:
		case <-w.done:
			return
		}
		w.mu.Lock()
		sending, w.unsent = w.unsent, sending[:0]
		w.written.Broadcast()
		w.mu.Unlock()
		if err := w.send(sending); err != nil {
			w.fail(err)
			return
		}
		if cap(sending) > maxUnsent {
			sending = nil
		}
	}
}

func (w *wire) send(p []byte) error {
	for piece := range slices.Chunk(p, maxPiece) {
		if err := w.SetWriteDeadline(time.Now().Add(w.timeout)); err != nil {
			return err
		}
		if _, err := w.Conn.Write(piece); err != nil {
			return err
		}
	}
	return nil
}

// fail closes the connection, so that the reader notices too.
func (w *wire) fail(err error) {
	w.mu.Lock()
	if w.err == nil {
		w.err = err
	}
	w.written.Broadcast()
	w.mu.Unlock()
	_ = w.Close()
}

// Close cuts the connection; what is unsent is lost, as on any cut.
func (w *wire) Close() error {
	err := net.ErrClosed
	w.once.Do(func() {
		close(w.done)
		w.mu.Lock()
		if w.err == nil {
			w.err = net.ErrClosed
		}
		w.written.Broadcast()
		w.mu.Unlock()
		err = w.Conn.Close()
	})
	return err
}
