package esdbserver_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"orderflow/pkg/esdbserver"
)

// receivedAtMost is after how many answers a call has shown that it goes on.
const receivedAtMost = 300

// renewedAfter is after how many inputs a fuzzer gets a fresh server, so that reading everything stays quick.
const renewedAfter = 1000

// fuzzTarget is the server that a fuzzer works on. Whatever is sent, a call must end in an answer or an error, the server must
// not have met a bug of its own, and the next writer must find it well.
type fuzzTarget struct {
	server     *esdbserver.Server
	served     chan error
	addr       string
	connection *grpc.ClientConn
	inputs     int

	mu   sync.Mutex
	bugs []string
}

func newTarget(f *testing.F) *fuzzTarget {
	f.Helper()
	target := &fuzzTarget{}
	if err := target.start(); err != nil {
		f.Fatal(err)
	}
	f.Cleanup(func() {
		if err := target.stop(); err != nil {
			f.Error(err)
		}
	})
	return target
}

func (target *fuzzTarget) start() error {
	var err error
	target.server, err = esdbserver.Open(esdbserver.Config{
		SystemProjections: true, WriteTimeout: patience, Logger: slog.New(recordHandler{target.note}),
	})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return errors.Join(err, target.server.Close())
	}
	target.addr, target.served = listener.Addr().String(), make(chan error, 1)
	go func() { target.served <- target.server.Serve(listener) }()
	target.connection, err = grpc.NewClient(target.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
	return err
}

func (target *fuzzTarget) stop() error {
	err := errors.Join(target.connection.Close(), target.server.Close())
	if ended := <-target.served; !errors.Is(ended, esdbserver.ErrServerClosed) {
		err = errors.Join(err, ended)
	}
	return err
}

// note remembers what the server should not have to log.
func (target *fuzzTarget) note(r slog.Record) {
	if r.Level < slog.LevelError && !strings.Contains(r.Message, "panic") && !strings.Contains(r.Message, "fell behind") {
		return
	}
	bug := r.Message
	r.Attrs(func(a slog.Attr) bool {
		bug += " " + a.String()
		return true
	})
	target.mu.Lock()
	defer target.mu.Unlock()
	target.bugs = append(target.bugs, bug)
}

// isWell checks that the server has logged nothing and still works.
func (target *fuzzTarget) isWell(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	answer, err := appendRaw(ctx, streams.NewStreamsClient(target.connection), "well", rawEvent(uuid.New(), "good"))
	if err != nil || answer.GetSuccess() == nil {
		t.Errorf("a good append afterwards: %v, %v", answer, err)
	}
	for _, bug := range target.noted() {
		t.Errorf("the server logged: %s", bug)
	}
	if target.inputs++; target.inputs%renewedAfter == 0 {
		if err := errors.Join(target.stop(), target.start()); err != nil {
			t.Fatal(err)
		}
	}
}

func (target *fuzzTarget) noted() []string {
	target.mu.Lock()
	defer target.mu.Unlock()
	bugs := target.bugs
	target.bugs = nil
	return bugs
}

// fuzzedCall is a call: what to send, and how it ends.
type fuzzedCall struct {
	method   string
	messages [][]byte
	ending   int
}

// The ways to end the sending of a call.
const (
	halfClose = iota // and wait for the answer
	cancelled        // at once
	hangUp           // cut the whole connection off
	endings
)

// run makes the call and checks that it ends.
func (target *fuzzTarget) run(t *testing.T, call fuzzedCall) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	connection := target.connection
	if call.ending == hangUp {
		own, err := grpc.NewClient(target.addr, grpc.WithTransportCredentials(insecure.NewCredentials()))
		if err != nil {
			t.Fatal(err)
		}
		defer own.Close()
		connection = own
	}
	both := &grpc.StreamDesc{ClientStreams: true, ServerStreams: true}
	stream, err := connection.NewStream(ctx, both, "/event_store.client.streams.Streams/"+call.method, grpc.ForceCodec(rawCodec{}))
	if err != nil {
		t.Fatalf("%s: %v", call.method, err)
	}
	received := make(chan error, 1)
	go func() { received <- receiveSome(stream, cancel) }()
	for _, m := range call.messages {
		if err := stream.SendMsg(&m); err != nil {
			break // the reason comes with the answer
		}
	}
	switch call.ending {
	case halfClose:
		err = stream.CloseSend()
	case cancelled:
		cancel()
	case hangUp:
		err = connection.Close()
	}
	if err != nil {
		t.Errorf("%s: end the sending: %v", call.method, err)
	}
	if err := <-received; status.Code(err) == codes.DeadlineExceeded {
		t.Errorf("%s did not end: %v", call.method, err)
	}
}

// receiveSome reads answers until the call ends or has shown that it goes on: it is then given up, as by a client that
// leaves.
func receiveSome(stream grpc.ClientStream, cancel func()) error {
	for range receivedAtMost {
		var answer []byte
		if err := stream.RecvMsg(&answer); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return err
		}
		var read streams.ReadResp
		if proto.Unmarshal(answer, &read) == nil && read.GetConfirmation() != nil {
			break // a subscription does not end by itself
		}
	}
	cancel()
	return nil
}

// rawCodec sends and receives bytes as they are.
type rawCodec struct{}

func (rawCodec) Name() string { return "proto" }

func (rawCodec) Marshal(v any) ([]byte, error) { return *v.(*[]byte), nil }

func (rawCodec) Unmarshal(data []byte, v any) error {
	*v.(*[]byte) = data
	return nil
}

// FuzzCalls makes calls of well-formed messages that make no sense: fields missing, numbers too large, the wrong order.
func FuzzCalls(f *testing.F) {
	for _, seed := range []string{
		"", "\x00\x01\x01\x03\x00\x05\x01\x00\x00\x00\x00", "\x01\x01\x02\x01\x01\x03\x01\x00\x01\x05\x00\x01\x00\x00",
		"\x02\x00\x01\x00\x02\x04\x01\x01\x02\x03\x02", "\x03\x00\x01\x03\x01", "\x04\x00\x03\x03\x01",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", "\x01BBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBBB",
	} {
		f.Add([]byte(seed))
	}
	target := newTarget(f)
	f.Fuzz(func(t *testing.T, rolls []byte) {
		d := &dice{rolls: rolls[:min(len(rolls), 512)]}
		for calls := 0; calls == 0 || d.more() && calls < 4; calls++ {
			call := fuzzedCall{method: pick(d, "Append", "BatchAppend", "Read", "Delete", "Tombstone")}
			call.ending = pick(d, halfClose, halfClose, halfClose, halfClose, halfClose, halfClose, cancelled, hangUp)
			for range 1 + d.roll(6) {
				var m proto.Message
				switch call.method {
				case "Append":
					m = d.appendReq()
				case "BatchAppend":
					m = d.batchReq()
				case "Read":
					m = d.readReq()
				case "Delete":
					m = d.deleteReq()
				case "Tombstone":
					m = d.tombstoneReq()
				}
				encoded, err := proto.Marshal(m)
				if err != nil {
					t.Fatalf("encode %v: %v", m, err)
				}
				if d.roll(8) == 7 && len(encoded) > 0 { // spoilt: text that is no UTF-8, lengths that are wrong
					encoded[d.roll(len(encoded))] ^= 1 << d.roll(8)
				}
				call.messages = append(call.messages, encoded)
			}
			target.run(t, call)
		}
		target.isWell(t)
	})
}

// FuzzMessages sends bytes that may be no message at all.
func FuzzMessages(f *testing.F) {
	for method := range byte(5) {
		f.Add(method, byte(halfClose), []byte(""), []byte{0xff})
		f.Add(method, byte(halfClose), []byte{0x0a, 0x05, 0x0a, 0x03, 0x1a, 0x01, 's'}, []byte{0x0a})
		f.Add(method, byte(hangUp), []byte{0x0a, 0xff, 0xff, 0xff, 0xff, 0x0f}, []byte{0x12, 0x00})
	}
	for _, m := range []proto.Message{
		rawAppendAny("s"), whole(batchAny("s"), batchEvents("x")...), proposedMessage(rawEvent(uuid.New(), "x")),
		&streams.ReadReq{Options: &streams.ReadReq_Options{}},
	} {
		encoded, err := proto.Marshal(m)
		if err != nil {
			f.Fatal(err)
		}
		for method := range byte(5) {
			f.Add(method, byte(halfClose), encoded, encoded)
		}
	}
	target := newTarget(f)
	f.Fuzz(func(t *testing.T, method, ending byte, first, second []byte) {
		names := []string{"Append", "BatchAppend", "Read", "Delete", "Tombstone"}
		target.run(t, fuzzedCall{method: names[int(method)%len(names)], ending: int(ending) % endings, messages: [][]byte{first, second}})
		target.isWell(t)
	})
}

// FuzzConnection sends bytes that may be no HTTP at all.
func FuzzConnection(f *testing.F) {
	const (
		preface  = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
		settings = "\x00\x00\x00\x04\x00\x00\x00\x00\x00"
	)
	for _, seed := range []string{
		"", "P", "PRI ", "PRI * HTTP/2.0\r\n\r\nSM", preface, preface + settings, preface + "\xff\xff\xff\x04\x00\x00\x00\x00\x00",
		preface + settings + "\x00\x00\x01\x01\x05\x00\x00\x00\x01\x82", preface + settings + "\x00\x00\x04\x08\x00\x00\x00\x00\x00\x00\x00\x00\x00",
		"GET /info HTTP/1.1\r\nHost: x\r\n\r\n", "GET /info HTTP/1.1\r\n\r\n\r\n", "POST /health/live HTTP/1.0\r\nContent-Length: -1\r\n\r\n",
		"GET //../\x00 HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n", "\x16\x03\x01\x00\xa5\x01", "CONNECT x HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		f.Add([]byte(seed))
	}
	target := newTarget(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		connection, err := net.Dial("tcp", target.addr)
		if err != nil {
			t.Fatal(err)
		}
		defer connection.Close()
		if err := connection.SetDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		tcp, ok := connection.(*net.TCPConn)
		if !ok {
			t.Fatalf("a connection of type %T", connection)
		}
		_, _ = tcp.Write(data) // the server may have hung up already
		_ = tcp.CloseWrite()   // likewise
		_, err = io.Copy(io.Discard, tcp)
		if timeout := net.Error(nil); errors.As(err, &timeout) && timeout.Timeout() {
			t.Errorf("the server did not hang up: %v", err)
		}
		target.isWell(t)
	})
}
