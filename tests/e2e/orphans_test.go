package e2e

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"strconv"
	"sync"
	"syscall"
)

// guardVariable tells a copy of this test program that it is the guard.
const guardVariable = "E2E_GUARD"

// guard ends the child processes when the tests cannot: after a panic, a
// timeout of go test, or a kill. It is a copy of this program that is told of
// every child, and reads the end of its input when this process is gone.
type guard struct {
	mu    sync.Mutex
	input io.WriteCloser
}

// startGuard starts the copy; its input closes with this process at the latest.
func startGuard() (*guard, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, err
	}
	command := exec.Command(self)
	command.Env = append(os.Environ(), guardVariable+"=1")
	input, err := command.StdinPipe()
	if err != nil {
		return nil, err
	}
	return &guard{input: input}, command.Start()
}

// watch adds a child.
func (g *guard) watch(pid int) { g.tell("+", pid) }

// forget takes out a child that has ended: its id may soon be another's.
func (g *guard) forget(pid int) { g.tell("-", pid) }

func (g *guard) tell(what string, pid int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	_, _ = fmt.Fprintf(g.input, "%s%d\n", what, pid) // without the guard the tests are as good
}

// beGuard is what the copy does.
func beGuard(input io.Reader) {
	signal.Ignore(os.Interrupt, syscall.SIGTERM, syscall.SIGPIPE)
	children := map[int]bool{}
	for lines := bufio.NewScanner(input); lines.Scan(); {
		text := lines.Text()
		if pid, err := strconv.Atoi(text[1:]); err == nil {
			children[pid] = text[0] == '+'
		}
	}
	for pid, alive := range children {
		if alive {
			_ = syscall.Kill(pid, syscall.SIGKILL) // it may be gone by now
		}
	}
}
