package rabbitmq

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"time"
)

// pair is a wire to a peer of the test's own.
func pair(t *testing.T, timeout time.Duration) (*wire, net.Conn) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	accepted := make(chan net.Conn, 1)
	go func() {
		conn, _ := listener.Accept()
		accepted <- conn
	}()
	w, err := dial(context.Background(), "tcp", listener.Addr().String(), time.Minute, timeout)
	if err != nil {
		t.Fatal(err)
	}
	peer := <-accepted
	t.Cleanup(func() {
		_ = w.Close()
		_ = peer.Close()
	})
	return w, peer
}

func TestWhatIsWrittenArrivesCompleteAndInOrder(t *testing.T) {
	w, peer := pair(t, time.Minute)
	var want bytes.Buffer
	for n := range 2000 {
		piece := bytes.Repeat([]byte{byte(n)}, n%97+1)
		want.Write(piece)
		if _, err := w.Write(piece); err != nil {
			t.Fatal(err)
		}
		clear(piece) // a writer may reuse its buffer
	}
	got := make([]byte, want.Len())
	if _, err := io.ReadFull(peer, got); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want.Bytes()) {
		t.Error("the stream was changed on the way")
	}
}

// A peer that stops reading holds a writer for the timeout at most, then the
// connection is given up, which the reader sees too.
func TestAPeerThatStopsReadingIsGivenUp(t *testing.T) {
	w, _ := pair(t, 50*time.Millisecond)
	if err := w.SetReadDeadline(time.Time{}); err != nil {
		t.Fatal(err)
	}
	var err error
	for piece := make([]byte, 1<<20); err == nil; {
		_, err = w.Write(piece)
	}
	var timeout net.Error
	if !errors.As(err, &timeout) || !timeout.Timeout() {
		t.Errorf("got %v, want a timeout", err)
	}
	if _, err := w.Read(make([]byte, 1)); err == nil {
		t.Error("the reader did not notice")
	}
}

func TestASlowNetworkIsNotGivenUp(t *testing.T) {
	const total, each, timeout = 32 << 20, 64 << 10, time.Second
	w, peer := pair(t, timeout)
	if _, err := w.Write(make([]byte, total)); err != nil {
		t.Fatal(err)
	}
	tick := time.NewTicker(10 * time.Millisecond) // so that all of it takes several timeouts
	defer tick.Stop()
	for got, piece := 0, make([]byte, each); got < total; <-tick.C {
		n, err := io.ReadFull(peer, piece)
		if err != nil {
			t.Fatalf("after %d of %d bytes: %v", got, total, err)
		}
		got += n
	}
}

func TestWritingAfterCloseIsAnError(t *testing.T) {
	w, _ := pair(t, time.Minute)
	if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := w.Write([]byte("x")); !errors.Is(err, net.ErrClosed) {
		t.Errorf("got %v, want net.ErrClosed", err)
	}
}
