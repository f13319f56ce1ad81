package faultproxy_test

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"orderflow/pkg/faultproxy"
)

// echo is a server that sends every line back.
func echo(t *testing.T) (address string) {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				_, _ = io.Copy(conn, conn)
			}()
		}
	}()
	return listener.Addr().String()
}

// line is a connection through the proxy.
type line struct {
	net.Conn
	answers *bufio.Reader
}

func call(t *testing.T, p *faultproxy.Proxy) *line {
	t.Helper()
	l, err := try(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

func try(ctx context.Context, p *faultproxy.Proxy) (*line, error) {
	var dialer net.Dialer
	conn, err := dialer.DialContext(ctx, "tcp", p.Address())
	if err != nil {
		return nil, err
	}
	return &line{conn, bufio.NewReader(conn)}, nil
}

// ask sends text and returns the answer, waiting at most that long for it.
func (l *line) ask(text string, wait time.Duration) (string, error) {
	if err := l.SetDeadline(time.Now().Add(wait)); err != nil {
		return "", err
	}
	if _, err := io.WriteString(l, text+"\n"); err != nil {
		return "", err
	}
	answer, err := l.answers.ReadString('\n')
	return strings.TrimSuffix(answer, "\n"), err
}

const (
	patience = 20 * time.Second       // with what must come
	moment   = 100 * time.Millisecond // with what must not
)

func mustAnswer(t *testing.T, l *line) {
	t.Helper()
	if answer, err := l.ask("hello", patience); err != nil || answer != "hello" {
		t.Fatalf("got %q, %v; want the answer", answer, err)
	}
}

func mustBeBroken(t *testing.T, l *line) {
	t.Helper()
	if answer, err := l.ask("hello", patience); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Fatalf("got %q, %v; want a broken connection", answer, err)
	}
}

func start(t *testing.T) *faultproxy.Proxy {
	t.Helper()
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, append(faultproxy.Leaks(), before)...) })
	return faultproxy.Start(t, echo(t))
}

func TestCutBreaksWhatIsOpenAndNothingElse(t *testing.T) {
	p := start(t)
	old := call(t, p)
	mustAnswer(t, old)
	p.Cut()
	mustBeBroken(t, old)
	mustAnswer(t, call(t, p))
}

// A client that goes while the proxy is full of what it was sent leaves behind
// what Leaks says.
func TestWhatABrokenLinkLeavesBehindIsKnown(t *testing.T) {
	before := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, append(faultproxy.Leaks(), before)...) })
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = listener.Close() })
	p := faultproxy.Start(t, listener.Addr().String())
	client := call(t, p)
	server, err := listener.Accept()
	if err != nil {
		t.Fatal(err)
	}
	defer server.Close()
	if err := server.SetWriteDeadline(time.Now().Add(moment)); err != nil {
		t.Fatal(err)
	}
	for err == nil { // until the proxy takes no more
		_, err = server.Write(make([]byte, 64<<10))
	}
	if err := client.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestDownRefusesUntilUp(t *testing.T) {
	p := start(t)
	old := call(t, p)
	mustAnswer(t, old)
	address := p.Address()
	p.Down()
	mustBeBroken(t, old)
	if l, err := try(t.Context(), p); err == nil {
		_ = l.Close()
		t.Error("a connection was accepted")
	}
	p.Up()
	if p.Address() != address {
		t.Errorf("the address changed from %s to %s", address, p.Address())
	}
	mustAnswer(t, call(t, p))
}

func TestLostDataLeavesTheConnectionOpen(t *testing.T) {
	for _, way := range [...]faultproxy.Direction{faultproxy.ToServer, faultproxy.ToClient} {
		t.Run(string(way), func(t *testing.T) {
			p := start(t)
			old := call(t, p)
			mustAnswer(t, old)
			p.Lose(way)
			if answer, err := old.ask("hello", moment); !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Fatalf("got %q, %v; want no answer", answer, err)
			}
			p.Heal()
			mustBeBroken(t, old)
			mustAnswer(t, call(t, p))
		})
	}
}

func TestCutAfterBreaksInTheMiddle(t *testing.T) {
	p := start(t)
	old := call(t, p)
	p.CutAfter(faultproxy.ToClient, 3)
	answer, err := old.ask("hello", patience)
	if answer != "hel" || !errors.Is(err, io.EOF) {
		t.Fatalf("got %q, %v; want three bytes and the end", answer, err)
	}
	p.Heal()
	mustAnswer(t, call(t, p))
}

func TestResetBreaksOnTheNextByte(t *testing.T) {
	p := start(t)
	old := call(t, p)
	mustAnswer(t, old)
	p.Reset(faultproxy.ToServer)
	mustBeBroken(t, old)
	mustBeBroken(t, call(t, p))
	p.Heal()
	mustAnswer(t, call(t, p))
}

func TestSlowAndNarrowStillDeliver(t *testing.T) {
	p := start(t)
	old := call(t, p)
	p.Slow(20*time.Millisecond, 5*time.Millisecond)
	p.Narrow(faultproxy.ToServer, 64)
	began := time.Now()
	mustAnswer(t, old)
	if took := time.Since(began); took < 30*time.Millisecond {
		t.Errorf("it took %s, less than the delay both ways", took)
	}
	p.Heal()
	mustAnswer(t, old)
}
