package datadir

import (
	"errors"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func newDir(t *testing.T) Dir {
	t.Helper()
	return New(filepath.Join(t.TempDir(), "data"), []string{"order", "crm"})
}

func claim(t *testing.T, d Dir) *Claim {
	t.Helper()
	c, err := d.Claim()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Release)
	return c
}

func TestOneHolderAtATime(t *testing.T) {
	d := newDir(t)
	if pid, err := d.Runner(); pid != 0 || err != nil {
		t.Errorf("process %d runs before anybody came, %v", pid, err)
	}
	first := claim(t, d)
	if _, err := d.Claim(); !errors.Is(err, ErrInUse) {
		t.Errorf("the second claim gives %v", err)
	}
	if pid, err := d.Runner(); pid != os.Getpid() || err != nil {
		t.Errorf("process %d runs, %v", pid, err)
	}
	first.Release()
	if pid, err := d.Runner(); pid != 0 || err != nil {
		t.Errorf("process %d runs after the release, %v", pid, err)
	}
	claim(t, d)
}

func TestHolderIsAskedForUntilItHasSaidWhichProcessItIs(t *testing.T) {
	for name, before := range map[string]string{"an empty file": "", "one that was killed": "4194305\n"} { // no process has that id
		t.Run(name, func(t *testing.T) {
			d := newDir(t)
			claim(t, d)
			write := func(text string) {
				if err := os.WriteFile(d.pidFile(), []byte(text), 0o600); err != nil {
					t.Error(err)
				}
			}
			write(before)
			time.AfterFunc(100*time.Millisecond, func() { write(strconv.Itoa(os.Getpid())) })
			if pid, err := d.Runner(); pid != os.Getpid() || err != nil {
				t.Errorf("process %d runs, %v", pid, err)
			}
		})
	}
}

func TestStateIsReadBackUntilTheHolderIsGone(t *testing.T) {
	d := newDir(t)
	c := claim(t, d)
	want := State{Stack: Embedded, StartedAt: time.Unix(1e9, 0).UTC(), URLs: map[string]string{"order": "http://x"}, EventStore: "esdb://y"}
	if err := c.Announce(want); err != nil {
		t.Fatal(err)
	}
	got, ok, err := d.State()
	if diff := cmp.Diff(want, got); !ok || err != nil || diff != "" {
		t.Errorf("%t, %v (-want +got):\n%s", ok, err, diff)
	}
	c.Release()
	if _, ok, err := d.State(); ok || err != nil {
		t.Errorf("state after the release: %t, %v", ok, err)
	}
	if err := d.Forget(); err != nil {
		t.Errorf("forgetting nothing: %v", err)
	}
}

func TestWhatAKilledSystemAnnouncedIsNotTakenForTheNextOne(t *testing.T) {
	for stack, stays := range map[string]bool{Embedded: false, Docker: true} { // no lock is held for containers
		d := newDir(t)
		killed := claim(t, d)
		if err := killed.Announce(State{Stack: stack}); err != nil {
			t.Fatal(err)
		}
		if err := killed.lock.Close(); err != nil {
			t.Fatal(err)
		}
		claim(t, d)
		if state, ok, err := d.State(); ok != stays || err != nil {
			t.Errorf("%s: %+v, %t, %v", stack, state, ok, err)
		}
	}
}

func TestFolderIsOursOnlyWithOurNamesInIt(t *testing.T) {
	for name, ours := range map[string]bool{
		"order.db": true, "order.db-wal": true, "order.db-shm": true, "crm.db-journal": true, "bus.db": true, "crm.db.rebuild": true, "crm.db.rebuild-wal": true, "bus.db-wal": true,
		"orderflow.log": true, "orderflow.pid": true, "orderflow.json": true, "eventstore": true,
		"orders.db": false, "order.db.bak": false, "order": false, "notes.txt": false, ".git": false, "bus": false, "-wal": false,
	} {
		d := newDir(t)
		if err := os.MkdirAll(d.String(), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(d.String(), name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := d.Check(); errors.Is(err, ErrForeign) == ours {
			t.Errorf("%s: %v", name, err)
		}
		err := d.Remove()
		_, left := os.Stat(filepath.Join(d.String(), name))
		if ours && (err != nil || !os.IsNotExist(left)) || !ours && (!errors.Is(err, ErrForeign) || left != nil) {
			t.Errorf("removing with %s: %v, %v", name, err, left)
		}
	}
}

func TestFolderInUseIsNotRemoved(t *testing.T) {
	d := newDir(t)
	claim(t, d)
	if err := d.Remove(); !errors.Is(err, ErrInUse) {
		t.Errorf("removing gives %v", err)
	}
	if _, err := os.Stat(d.String()); err != nil {
		t.Error(err)
	}
}

func TestRemovingNothingIsNoError(t *testing.T) {
	if err := newDir(t).Remove(); err != nil {
		t.Error(err)
	}
}
