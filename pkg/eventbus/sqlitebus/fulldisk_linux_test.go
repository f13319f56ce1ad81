package sqlitebus_test

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
)

// inChild runs the calling test again in a process of its own, which may harm
// itself, and reports whether this is that process.
func inChild(t *testing.T) bool {
	t.Helper()
	const variable = "SQLITEBUS_TEST_ALONE"
	if os.Getenv(variable) != "" {
		return true
	}
	child := exec.Command(os.Args[0], "-test.run=^"+strings.ReplaceAll(t.Name(), "/", "$/^")+"$", "-test.v", "-test.timeout=5m")
	child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	child.Env = append(os.Environ(), variable+"=1")
	output, err := child.CombinedOutput()
	if err != nil || !strings.Contains(string(output), "--- PASS: "+t.Name()) {
		t.Fatalf("the child: %v\n%s", err, output)
	}
	return false
}

// The files of this process may not grow beyond a limit, which is then lifted.
// The smaller limit meets the write-ahead log, the larger one the file into
// which it is folded.
func TestAFullDiskLosesNothingThatWasPromised(t *testing.T) {
	for name, limit := range map[string]uint64{"log": 6 << 20, "file": 20 << 20} {
		t.Run(name, func(t *testing.T) {
			if !inChild(t) {
				return
			}
			var unlimited syscall.Rlimit
			if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &unlimited); err != nil {
				t.Fatal(err)
			}
			allow := func(limit uint64) {
				limited := unlimited
				limited.Cur = limit
				if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limited); err != nil {
					t.Fatal(err)
				}
			}
			fullDisk(t, func() { allow(limit) }, func() { allow(unlimited.Cur) })
		})
	}
}

func fullDisk(t *testing.T, fill, makeRoom func()) {
	t.Helper()
	bus := closing(t, open(t, newPath(t)))
	declare(t, bus, crm(20))
	fill()
	var mu sync.Mutex
	promised := map[string]bool{}
	var refused atomic.Int64
	publishSome := func(name string, until func() bool) {
		ctx := within(t) // one for all: a loop that publishes in vain must not fill the memory
		var running sync.WaitGroup
		for p := range 4 {
			running.Go(func() {
				for n := 0; !until(); n++ {
					e := placed(n)
					e.ID = fmt.Sprintf("%s-%d-%d", name, p, n)
					e.Data = fmt.Appendf(nil, `"%020000d"`, n)
					if err := bus.Publish(ctx, e); err != nil {
						refused.Add(1)
						continue
					}
					mu.Lock()
					promised[e.ID] = true
					mu.Unlock()
				}
			})
		}
		running.Wait()
	}
	// More than the disk could take would be promised by a bus that does not look.
	publishSome("filling", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return refused.Load() >= 20 || len(promised) > 4000
	})
	if len(promised) < 100 || refused.Load() == 0 {
		t.Fatalf("%d events were promised and %d refused", len(promised), refused.Load())
	}
	if err := bus.Ready(); err == nil {
		t.Error("ready while the disk is full")
	}
	// A consumer works on what is there. What it cannot acknowledge comes again.
	var got received
	// To become one takes a write, for which there may be no room left.
	s, err := bus.Subscribe(within(t), crm(20), got.handle)
	if err == nil {
		eventually(t, "something has been handled", func() bool { return len(got.all()) > 0 || s.Ready() != nil })
	}

	makeRoom()
	if err != nil {
		s = subscribe(t, bus, crm(20), got.handle)
	}
	before, count := refused.Load(), len(promised)
	eventually(t, "it takes events again", func() bool { return bus.Publish(within(t), placed(0)) == nil })
	publishSome("again", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(promised) >= count+50 || refused.Load() > before
	})
	if refused.Load() > before {
		t.Errorf("%d events refused although there is room", refused.Load()-before)
	}
	if err := bus.Ready(); err != nil {
		t.Errorf("not ready although there is room: %v", err)
	}
	eventually(t, "everything promised has arrived", func() bool {
		arrived := map[string]bool{}
		for _, d := range got.all() {
			arrived[d.Event.ID] = true
		}
		for id := range promised {
			if !arrived[id] {
				return false
			}
		}
		return true
	})
	eventually(t, "the consumer is ready", func() bool { return s.Ready() == nil })
	eventually(t, "everything is acknowledged", func() bool {
		depth, err := bus.Depth(within(t), "crm")
		return err == nil && depth == 0 && bus.Ready() == nil
	})
}
