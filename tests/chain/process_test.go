//go:build unix

package chain

import (
	"bufio"
	"bytes"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"
)

// patience is what a busy machine is given.
const patience = 2 * time.Minute

// process is one child, which is started again after it was killed.
type process struct {
	name, role string
	env        []string
	log        string // a file with what it said, over all its lives

	command *exec.Cmd
	life    io.Closer     // closing it ends the child
	ready   chan struct{} // closed when it said so, or ended
	lives   int
}

func newProcess(t *testing.T, name, role string, env []string) *process {
	t.Helper()
	p := &process{name: name, role: role, env: env, log: filepath.Join(t.TempDir(), name+".log")}
	t.Cleanup(func() {
		p.kill()
		if t.Failed() {
			t.Logf("%s lived %d times, and said at last:%s", p.name, p.lives, p.tail())
		}
	})
	return p
}

func (p *process) start(t *testing.T) {
	t.Helper()
	log, err := os.OpenFile(p.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close() // the child has its own
	command := exec.Command(os.Args[0])
	command.Env = append(append(os.Environ(), roleVariable+"="+p.role), p.env...)
	command.Stderr = log
	life, err := command.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := command.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := command.Start(); err != nil {
		t.Fatalf("start %s: %v", p.name, err)
	}
	ready := make(chan struct{})
	go func() {
		defer close(ready)
		_, _ = bufio.NewReader(output).ReadString('\n')
	}()
	p.command, p.life, p.ready = command, life, ready
	p.lives++
}

// await waits until the process said that it works, or was killed.
func (p *process) await(t *testing.T) {
	t.Helper()
	select {
	case <-p.ready:
	case <-time.After(patience):
		t.Fatalf("%s is not ready:%s", p.name, p.tail())
	}
}

// kill is kill -9.
func (p *process) kill() {
	if p.command == nil {
		return
	}
	_ = p.command.Process.Kill() // it may have ended
	<-p.ready                    // its output is read to the end
	_ = p.command.Wait()         // says that it was killed
	_ = p.life.Close()
	p.command = nil
}

func (p *process) signal(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if err := p.command.Process.Signal(signal); err != nil {
		t.Fatalf("%s to %s: %v", signal, p.name, err)
	}
}

func (p *process) tail() string {
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
	var shown bytes.Buffer
	for _, line := range lines[max(0, len(lines)-12):] {
		shown.WriteString("\n\t" + string(line[:min(len(line), 400)]))
	}
	return shown.String()
}
