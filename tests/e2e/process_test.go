package e2e

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// process is one child process, which can be started again after it has ended.
// Its output is kept in one file over all its lives.
type process struct {
	name string
	path string
	args []string
	env  []string
	dir  string
	// group says that the program starts others, which end with it.
	group bool

	command *exec.Cmd
	ended   chan struct{} // closed when the process has ended
}

func (p *process) log() string { return filepath.Join(p.dir, p.name+".log") }

func (p *process) start() error {
	log, err := os.OpenFile(p.log(), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	defer func() { _ = log.Close() }() // the child has its own
	p.command = exec.Command(p.path, p.args...)
	p.command.Dir, p.command.Env = p.dir, p.env
	p.command.Stdout, p.command.Stderr = log, log
	p.command.SysProcAttr = &syscall.SysProcAttr{Setpgid: p.group}
	if err := p.command.Start(); err != nil {
		return fmt.Errorf("start %s: %w", p.name, err)
	}
	command, ended := p.command, make(chan struct{})
	p.ended = ended
	id := p.id()
	programs.guard.watch(id)
	go func() {
		_ = command.Wait() // how it ended is asked of ProcessState
		programs.guard.forget(id)
		close(ended)
	}()
	return nil
}

// id is what signals are sent to: the process, or its group, whose id is
// written with a minus.
func (p *process) id() int {
	if p.group {
		return -p.command.Process.Pid
	}
	return p.command.Process.Pid
}

// signal sends a signal. That the process has ended is no error.
func (p *process) signal(which syscall.Signal) error {
	if _, ended := p.hasEnded(); ended { // its id may be another's by now
		return nil
	}
	if err := syscall.Kill(p.id(), which); !errors.Is(err, syscall.ESRCH) {
		return err
	}
	return nil
}

// hasEnded reports whether the process is gone, and how it went.
func (p *process) hasEnded() (how string, ended bool) {
	select {
	case <-p.ended:
		return p.command.ProcessState.String(), true
	default:
		return "", false
	}
}

// stop asks the process to end and waits. Taking longer than patience, or
// ending otherwise than with exit code 0, is an error.
func (p *process) stop(patience time.Duration) error {
	if err := p.signal(syscall.SIGTERM); err != nil {
		return fmt.Errorf("stop %s: %w", p.name, err)
	}
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.kill()
		return fmt.Errorf("%s has not stopped within %s of SIGTERM", p.name, patience)
	}
	if state := p.command.ProcessState; !state.Success() {
		return fmt.Errorf("%s stopped with %s", p.name, state)
	}
	return nil
}

// kill ends the process as a crash would (kill -9), and waits until it is gone.
func (p *process) kill() {
	if p.command == nil {
		return
	}
	_ = p.signal(syscall.SIGKILL) // nobody may refuse that
	<-p.ended
}

// tail returns the last lines of the log, and before them every warning and
// error that is not among them, up to a limit.
func (p *process) tail() string {
	text, err := os.ReadFile(p.log())
	if err != nil {
		return err.Error()
	}
	var lines []string
	for scanner := bufio.NewScanner(bytes.NewReader(text)); scanner.Scan(); {
		lines = append(lines, scanner.Text())
	}
	const last, most = 15, 40
	var shown bytes.Buffer
	noted := 0
	for i, line := range lines {
		trouble := bytes.Contains([]byte(line), []byte("level=WARN")) || bytes.Contains([]byte(line), []byte("level=ERROR"))
		if i >= len(lines)-last || trouble && noted < most {
			shown.WriteString("\n\t" + line)
			noted++
		}
	}
	return shown.String()
}
