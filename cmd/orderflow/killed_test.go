package main

import (
	"context"
	"io/fs"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/sqldb/sqldbtest"
)

// kill ends the whole system as a power cut does, and starts it again.
func (w *world) kill() {
	w.t.Helper()
	pid, err := w.dir.Runner()
	if err != nil || pid == 0 {
		w.t.Fatalf("process %d, %v", pid, err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		w.t.Fatal(err)
	}
	eventually(w.t, "the lock is free", func() bool { pid, err := w.dir.Runner(); return err == nil && pid == 0 })
}

// begun begins a command that somebody interrupts.
func (w *world) begun(args ...string) (interrupt func() said) {
	w.t.Helper()
	ctx, cancel := context.WithCancel(w.t.Context())
	var out, complaints locked
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, append(args, "--data", w.dir.String()), terminal{Out: &out, Err: &complaints, Environ: w.environ})
	}()
	return func() said {
		cancel()
		return said{<-ended, out.String(), complaints.String()}
	}
}

// Killed while history is told, while it is taken in, and while the models are
// compared and swapped: the same command goes on, and nothing is left over.
func TestReplaysAndRebuildsGoOnAfterTheSystemWasKilled(t *testing.T) {
	w := newWorld(t)
	w.must("up")
	w.must("demo")
	eventually(t, "everything has arrived", func() bool { return w.orderflow("verify").code == 0 })
	audit := w.audited()
	crm, order := w.database("crm"), w.database("order")
	mails := sqldbtest.Count(t, crm, `SELECT count(*) FROM mail`)

	interrupt := w.begun("rebuild", "crm", "--rate", "1")
	eventually(t, "history is being told", func() bool {
		return sqldbtest.Count(t, order, `SELECT count(*) FROM replay WHERE status = 'running' AND sent > 0`) == 1
	})
	if out := w.must("rebuild", "crm", "--status"); !strings.Contains(out, "crm: filling") || !strings.Contains(out, "order      to crm.rebuild  running") {
		t.Errorf("the state while history is told:\n%s", out)
	}
	w.kill()
	if s := interrupt(); s.code != 1 || !strings.Contains(s.err, "interrupted") {
		t.Errorf("interrupted while nothing answers: %+v", s)
	}
	w.must("up")
	if out := w.must("rebuild", "crm"); !strings.Contains(out, " 0 differ") || !strings.Contains(out, "is the new one") {
		t.Errorf("after a kill in the middle of history:\n%s", out)
	}

	before := sqldbtest.Count(t, crm, `SELECT begun_at FROM rebuild`)
	interrupt = w.begun("rebuild", "crm")
	eventually(t, "the swap is asked for", func() bool {
		return sqldbtest.Count(t, crm, `SELECT count(*) FROM rebuild WHERE asked = 'swap' AND begun_at > $1`, before) == 1
	})
	w.kill()
	interrupt()
	w.must("up")
	if out := w.must("rebuild", "crm"); !strings.Contains(out, " 0 differ") || !strings.Contains(out, "is the new one") {
		t.Errorf("after a kill at the swap:\n%s", out)
	}

	interrupt = w.begun("replay", "--to", "audit", "--rate", "1")
	eventually(t, "history is being told", func() bool { all, _ := audit.heard(); return len(all) > 0 })
	w.kill()
	interrupt()
	w.must("up")
	w.must("replay", "--to", "audit")
	// Only the window under way is told twice.
	all, first := audit.heard()
	if len(all) > len(first)+5 || slices.ContainsFunc(first, func(e eventbus.Event) bool { return !e.Replayed }) {
		t.Errorf("%d deliveries of %d events", len(all), len(first))
	}
	if want := sqldbtest.Count(t, crm, `SELECT count(*) FROM inbox`); len(first) < want {
		t.Errorf("%d events were told, crm alone knows %d", len(first), want)
	}
	if n := sqldbtest.Count(t, crm, `SELECT count(*) FROM mail`); n != mails {
		t.Errorf("%d mails, there were %d", n, mails)
	}
	err := filepath.WalkDir(w.dir.String(), func(path string, _ fs.DirEntry, err error) error {
		if strings.Contains(path, ".rebuild") {
			t.Errorf("%s is left", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	w.must("verify")
}
