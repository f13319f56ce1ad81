package rabbitmq_test

import (
	"context"
	"encoding/binary"
	"io"
	"net"
	"testing"
	"time"

	"orderflow/pkg/eventbus/rabbitmq"
)

// startSilentBroker shakes hands with whoever connects, and answers nothing
// after that. asked is sent to when a client waits for an answer.
func startSilentBroker(t *testing.T) (url string, asked <-chan struct{}) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	requests := make(chan struct{}, 100)
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				if shakeHands(conn) != nil {
					return
				}
				for {
					if _, err := readFrame(conn); err != nil {
						return
					}
					requests <- struct{}{}
				}
			}()
		}
	}()
	return "amqp://guest:guest@" + listener.Addr().String() + "/", requests
}

// shakeHands is what a server says to open a connection (AMQP 0-9-1, 1.4).
func shakeHands(conn net.Conn) error {
	if _, err := io.ReadFull(conn, make([]byte, len("AMQP\x00\x00\x09\x01"))); err != nil {
		return err
	}
	for _, step := range []struct {
		says   string
		awaits int // frames
	}{
		{"\x00\x0a\x00\x0a\x00\x09\x00\x00\x00\x00\x00\x00\x00\x05PLAIN\x00\x00\x00\x05en_US", 1}, // start
		{"\x00\x0a\x00\x1e\x07\xff\x00\x02\x00\x00\x00\x00", 2},                                   // tune
		{"\x00\x0a\x00\x29\x00", 0}, // open-ok
	} {
		frame := binary.BigEndian.AppendUint32([]byte{1, 0, 0}, uint32(len(step.says)))
		if _, err := conn.Write(append(append(frame, step.says...), 0xce)); err != nil {
			return err
		}
		for range step.awaits {
			if _, err := readFrame(conn); err != nil {
				return err
			}
		}
	}
	return nil
}

func TestClosingDoesNotWaitForABrokerThatFellSilentWhileConnecting(t *testing.T) {
	url, asked := startSilentBroker(t)
	bus, err := rabbitmq.Open(t.Context(), rabbitmq.Config{URL: url, Heartbeat: time.Hour, DialTimeout: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	<-asked // the publisher's channel
	closed := make(chan error, 1)
	go func() { closed <- bus.Close(context.Background()) }()
	select {
	case err := <-closed:
		if err != nil {
			t.Errorf("close: %v", err)
		}
	case <-time.After(patience):
		t.Fatal("still closing")
	}
}
