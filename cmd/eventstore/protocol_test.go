package main

import (
	"bufio"
	"errors"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"orderflow/pkg/esdbserver/protocoltest"
)

// A server in another process is one that the suite cannot look into: what it needs it must get over the wire. It is asked
// twice, for nothing that one run leaves behind may matter to the next.
func TestProgramFollowsTheProtocol(t *testing.T) {
	binary := filepath.Join(t.TempDir(), "eventstore")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	program := exec.Command(binary, "--listen", "127.0.0.1:0", "--data", t.TempDir())
	stdout, err := program.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := program.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(program.Process.Signal(syscall.SIGTERM), program.Wait()); err != nil {
			t.Errorf("the program ended with %v", err)
		}
	})
	ready, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil {
		t.Fatalf("no ready line: %v", err)
	}
	_, url, _ := strings.Cut(strings.TrimSpace(ready), "event store ready: ")
	for _, round := range []string{"first", "again"} {
		t.Run(round, func(t *testing.T) {
			protocoltest.Run(t, func(*testing.T) protocoltest.Server {
				return protocoltest.Server{ConnectionString: url, Ours: true}
			})
		})
	}
}
