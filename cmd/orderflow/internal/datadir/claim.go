package datadir

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// ErrInUse says that another process runs a system on the directory.
var ErrInUse = errors.New("is in use")

// Stacks that a state can name.
const (
	Docker   = "docker"
	Embedded = "embedded"
)

// State says what runs, for the commands that come later.
type State struct {
	// Stack is [Docker] or [Embedded].
	Stack     string    `json:"stack"`
	StartedAt time.Time `json:"startedAt"`
	// URLs are where the services answer, by name.
	URLs map[string]string `json:"urls"`
	// EventStore is the connection string of the event store, without a password.
	EventStore string `json:"eventStore"`
}

// Claim is the sole right to run a system on a directory.
type Claim struct {
	dir  Dir
	lock *os.File
}

// Claim makes the directory when it is missing and takes the sole right to it, until Release or the end of the process.
// It fails with [ErrInUse] when somebody else has it, and with [ErrForeign] when the directory holds anything else.
func (d Dir) Claim() (*Claim, error) {
	if err := d.Check(); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(d.path, 0o750); err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	file, err := os.OpenFile(d.pidFile(), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("data folder: %w", err)
	}
	if err := lock(file); err != nil {
		return nil, errors.Join(fmt.Errorf("%s %w by process %s", d.path, err, readPID(file)), file.Close())
	}
	// What a system that was killed had announced goes before [Dir.Runner] names this process, so that nobody takes
	// it for what this one announces.
	pid := strconv.Itoa(os.Getpid()) + "\n"
	if err := errors.Join(d.forgetKilled(), file.Truncate(0), writeAt(file, pid)); err != nil {
		return nil, errors.Join(fmt.Errorf("data folder: %w", err), file.Close())
	}
	return &Claim{dir: d, lock: file}, nil
}

// forgetKilled removes what an embedded system announced. Containers run on whatever happens here.
func (d Dir) forgetKilled() error {
	if state, _, err := d.State(); err == nil && state.Stack == Docker {
		return nil
	}
	return d.Forget()
}

// Announce writes down what runs here.
func (c *Claim) Announce(state State) error { return c.dir.Announce(state) }

// Release gives the right back. The file of the lock stays: removing it would let two processes lock two files of the
// same name.
func (c *Claim) Release() {
	_ = os.Remove(filepath.Join(c.dir.path, stateName)) // stale at worst: whoever reads it asks for the lock as well
	_ = c.lock.Close()                                  // lets go of the lock
}

// Announce writes down what runs for this directory. For containers, which hold no lock here, it makes the directory.
func (d Dir) Announce(state State) error {
	text, err := json.MarshalIndent(state, "", "  ")
	if err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	if err := os.MkdirAll(d.path, 0o750); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	// Under another name first, so that nobody reads half of it.
	final := filepath.Join(d.path, stateName)
	if err := os.WriteFile(final+".tmp", text, 0o600); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	if err := os.Rename(final+".tmp", final); err != nil {
		return fmt.Errorf("write state: %w", err)
	}
	return nil
}

// State reads what was announced; ok is false when nothing was.
func (d Dir) State() (state State, ok bool, err error) {
	text, err := os.ReadFile(filepath.Join(d.path, stateName))
	if errors.Is(err, fs.ErrNotExist) {
		return State{}, false, nil
	}
	if err != nil {
		return State{}, false, fmt.Errorf("read state: %w", err)
	}
	if err := json.Unmarshal(text, &state); err != nil {
		return State{}, false, fmt.Errorf("read state %s: %w", filepath.Join(d.path, stateName), err)
	}
	return state, true, nil
}

// Forget removes what was announced.
func (d Dir) Forget() error {
	if err := os.Remove(filepath.Join(d.path, stateName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("remove state: %w", err)
	}
	return nil
}

// Runner returns the id of the process that runs a system here, or 0 when none does.
func (d Dir) Runner() (int, error) {
	file, err := os.Open(d.pidFile())
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, fmt.Errorf("data folder: %w", err)
	}
	defer func() { _ = file.Close() }() // only read
	// A process that has just taken the lock says a moment later which one it is. Until then the file is empty, or
	// names the one before, which was killed.
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	deadline := time.After(2 * time.Second)
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_SH|syscall.LOCK_NB)
		if err == nil { // nobody has it: a process id in the file is that of one that was killed
			return 0, nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return 0, fmt.Errorf("ask for the lock of %s: %w", d.path, err)
		}
		named := readPID(file)
		if pid, err := strconv.Atoi(named); err == nil && alive(pid) {
			return pid, nil
		}
		select {
		case <-again.C:
		case <-deadline:
			return 0, fmt.Errorf("%s: a process holds the lock, and %q is not its id", d.pidFile(), named)
		}
	}
}

// alive reports whether there is a process of that id, whoever owns it.
func alive(pid int) bool { return pid > 0 && !errors.Is(syscall.Kill(pid, 0), syscall.ESRCH) }

func (d Dir) pidFile() string { return filepath.Join(d.path, pidName) }

// lock takes the lock. [Dir.Runner] holds it for a moment to ask, so it is tried for a little while.
func lock(file *os.File) error {
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	deadline := time.After(300 * time.Millisecond)
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			return nil
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			return fmt.Errorf("cannot be locked: %w", err)
		}
		select {
		case <-again.C:
		case <-deadline:
			return ErrInUse
		}
	}
}

func readPID(file *os.File) string {
	text := make([]byte, 20)
	n, _ := file.ReadAt(text, 0) // an empty file reads as no id
	return strings.TrimSpace(string(text[:n]))
}

func writeAt(file *os.File, text string) error {
	_, err := file.WriteAt([]byte(text), 0)
	return err
}
