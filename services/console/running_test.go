package console_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"orderflow/pkg/service"
	"orderflow/services/console"
	"orderflow/services/console/internal/stagetest"
)

// running is a console that a test has started, and can stop and start again.
type running struct {
	t       *testing.T
	environ map[string]string
	url     string
	stop    func()
}

// start runs the console against a system, until the test ends.
func start(t *testing.T, system *stagetest.System) *running {
	t.Helper()
	var config net.ListenConfig
	listener, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := listener.Addr().String()
	if err := listener.Close(); err != nil {
		t.Fatal(err)
	}
	r := &running{t: t, environ: system.Environ(), url: "http://" + addr, stop: func() {}}
	r.environ["HTTP_ADDR"] = addr
	r.begin()
	t.Cleanup(func() { r.stop() })
	return r
}

// begin starts the console at its address, and returns when it is ready.
func (r *running) begin() {
	r.t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- console.Run(ctx, service.Host{Environ: r.environ, Log: io.Discard}) }()
	r.stop = func() {
		cancel()
		if err := <-ended; err != nil {
			r.t.Errorf("console ended with %v", err)
		}
		r.stop = func() {}
	}
	eventually(r.t, "the console is ready", func() bool {
		answer, err := http.Get(r.url + "/readyz")
		if err != nil {
			return false
		}
		_ = answer.Body.Close()
		return answer.StatusCode == http.StatusOK
	})
}

// eventually waits until something is so.
func eventually(t *testing.T, what string, so func() bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for !so() {
		select {
		case <-deadline:
			t.Fatalf("it never came to pass that %s", what)
		case <-again.C:
		}
	}
}
