package stack

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"orderflow/cmd/orderflow/internal/datadir"
)

// Background is this program as a process of its own that outlives the command that started it.
type Background struct{ Dir datadir.Dir }

// Start starts "orderflow run" with its output in the log of the data directory. ended receives what it said last, should
// it end. The log of the time before is kept in front.
func (b Background) Start(ctx context.Context, environ map[string]string) (pid int, ended <-chan error, err error) {
	program, err := os.Executable()
	if err != nil {
		return 0, nil, fmt.Errorf("find this program: %w", err)
	}
	if err := os.MkdirAll(b.Dir.String(), 0o750); err != nil {
		return 0, nil, fmt.Errorf("data folder: %w", err)
	}
	log, err := os.OpenFile(b.Dir.Log(), os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		return 0, nil, fmt.Errorf("open log: %w", err)
	}
	defer func() { _ = log.Close() }() // the new process has it
	// Not bound to ctx: it goes on when this command has ended.
	command := exec.CommandContext(context.WithoutCancel(ctx), program, "run", "--data", b.Dir.String())
	for name, value := range environ {
		command.Env = append(command.Env, name+"="+value)
	}
	command.Stdout, command.Stderr = log, log
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a closed terminal does not stop it
	if err := command.Start(); err != nil {
		return 0, nil, fmt.Errorf("start %s: %w", program, err)
	}
	end := make(chan error, 1)
	go func() {
		err := command.Wait()
		if err == nil {
			err = errors.New("it stopped")
		}
		end <- err
	}()
	return command.Process.Pid, end, nil
}

// Stop asks the process that runs the system to stop and waits until it has. ctx bounds the waiting; a process that
// does not stop in time is ended, which loses nothing that was acknowledged.
func (b Background) Stop(ctx context.Context) error {
	pid, err := b.Dir.Runner()
	if err != nil || pid == 0 {
		return err
	}
	process, err := os.FindProcess(pid)
	if err != nil {
		return fmt.Errorf("find process %d: %w", pid, err)
	}
	if err := process.Signal(syscall.SIGTERM); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("stop process %d: %w", pid, err)
	}
	if err := b.waitGone(ctx, pid); err == nil {
		return nil
	}
	if err := process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("end process %d: %w", pid, err)
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	return b.waitGone(last, pid)
}

func (b Background) waitGone(ctx context.Context, pid int) error {
	ticker := time.NewTicker(50 * time.Millisecond)
	defer ticker.Stop()
	for {
		runner, err := b.Dir.Runner()
		if err != nil || runner != pid {
			return err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("process %d has not stopped: %w", pid, ctx.Err())
		}
	}
}

// Tail returns the last lines of the log.
func (b Background) Tail(lines int) string {
	file, err := os.Open(b.Dir.Log())
	if err != nil {
		return ""
	}
	defer func() { _ = file.Close() }() // only read
	const most = 16 << 10
	if info, err := file.Stat(); err == nil && info.Size() > most {
		if _, err := file.Seek(-most, io.SeekEnd); err != nil {
			return ""
		}
	}
	text, err := io.ReadAll(file)
	if err != nil {
		return ""
	}
	all := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return strings.Join(all[max(0, len(all)-lines):], "\n")
}

// Logs copies the log to out, and with follow what is added to it until ctx ends.
func (b Background) Logs(ctx context.Context, out io.Writer, follow bool) error {
	file, err := os.Open(b.Dir.Log())
	if err != nil {
		return fmt.Errorf("open log: %w", err)
	}
	defer func() { _ = file.Close() }() // only read
	ticker := time.NewTicker(200 * time.Millisecond)
	defer ticker.Stop()
	for {
		if _, err := io.Copy(out, file); err != nil {
			return fmt.Errorf("copy log: %w", err)
		}
		if !follow {
			return nil
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return nil
		}
	}
}
