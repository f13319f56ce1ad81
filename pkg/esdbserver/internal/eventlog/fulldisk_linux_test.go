//go:build amd64 || arm64

package eventlog

import (
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"
)

// childVariable tells a test that it is the child process in which it may harm itself, and where to write.
const childVariable = "EVENTLOG_CHILD_DIR"

// inChild runs the calling test again in a process of its own and reports whether this is that process.
func inChild(t *testing.T) (dir string, isChild bool) {
	t.Helper()
	if dir := os.Getenv(childVariable); dir != "" {
		return dir, true
	}
	dir = t.TempDir()
	child := exec.Command(os.Args[0], "-test.run=^"+strings.ReplaceAll(t.Name(), "/", "$/^")+"$", "-test.v")
	child.Env = append(os.Environ(), childVariable+"="+dir)
	output, err := child.CombinedOutput()
	if strings.Contains(string(output), "--- SKIP: "+t.Name()) {
		t.Skipf("the child:\n%s", output)
	}
	if err != nil || !strings.Contains(string(output), "--- PASS: "+t.Name()) {
		t.Fatalf("the child: %v\n%s", err, output)
	}
	return dir, false
}

// The file may not grow beyond a limit, which is then lifted. The smaller limit meets the write-ahead log, the larger one
// the file into which it is folded.
func TestFileThatCannotGrowLosesNothing(t *testing.T) {
	for name, limit := range map[string]uint64{"log": 6 << 20, "file": 20 << 20} {
		t.Run(name, func(t *testing.T) {
			dir, isChild := inChild(t)
			if !isChild {
				return
			}
			var unlimited syscall.Rlimit
			if err := syscall.Getrlimit(syscall.RLIMIT_FSIZE, &unlimited); err != nil {
				t.Fatal(err)
			}
			limited := unlimited
			limited.Cur = limit
			if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &limited); err != nil {
				t.Fatal(err)
			}
			fullDisk(t, dir, func() {
				if err := syscall.Setrlimit(syscall.RLIMIT_FSIZE, &unlimited); err != nil {
					t.Fatal(err)
				}
			})
		})
	}
}

// mountDisk makes a file system of the test's own, where the machine lets it. Containers seldom do, also where
// REQUIRE_REAL=1; TestFileThatCannotGrowLosesNothing, which needs nothing, shows there what a full disk does.
func mountDisk(t *testing.T, options string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, options); err != nil {
		t.Skipf("cannot mount a file system here: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, 0); err != nil {
			t.Errorf("unmount: %v", err)
		}
	})
	return dir
}

func TestFullDiskLosesNothing(t *testing.T) {
	for name, size := range map[string]string{"log": "size=16m", "file": "size=36m"} {
		t.Run(name, func(t *testing.T) {
			dir := mountDisk(t, size)
			filler := filepath.Join(dir, "filler")
			if err := os.WriteFile(filler, make([]byte, 10<<20), 0o600); err != nil {
				t.Fatal(err)
			}
			t.Run("store", func(t *testing.T) { // so that it is closed before the disk is taken away
				fullDisk(t, filepath.Join(dir, "data"), func() {
					if err := os.Remove(filler); err != nil {
						t.Fatal(err)
					}
				})
			})
		})
	}
}

func TestReadOnlyDiskIsRefused(t *testing.T) {
	dir := mountDisk(t, "size=10m")
	l, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	fill(t, l, 10, 1)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	before := hashes(t, dir)
	remount := func(flags uintptr) {
		if err := syscall.Mount("tmpfs", dir, "tmpfs", syscall.MS_REMOUNT|flags, ""); err != nil {
			t.Fatal(err)
		}
	}
	remount(syscall.MS_RDONLY)
	if l, err := Open(Options{Dir: dir}); err == nil {
		l.Close()
		t.Error("opened")
	} else if !strings.Contains(err.Error(), dir) || strings.Contains(err.Error(), "\n") {
		t.Errorf("%q is not one line that names the directory", err)
	}
	remount(0)
	if after := hashes(t, dir); after[fileName] != before[fileName] {
		t.Error("the file was changed")
	}
	l, err = Open(Options{Dir: dir})
	if err != nil {
		t.Fatalf("when it can be written again: %v", err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// failSyncs makes every fsync of this process fail from now on, as it does on a disk that is dying. A filter of system
// calls does it, which cannot be removed again.
func failSyncs() error {
	const (
		setNoNewPrivileges = 38 // PR_SET_NO_NEW_PRIVS
		setFilter          = 1  // SECCOMP_SET_MODE_FILTER
		allThreads         = 1  // SECCOMP_FILTER_FLAG_TSYNC
		allow              = 0x7fff0000
		answerError        = 0x00050000
	)
	filter := []syscall.SockFilter{
		{Code: syscall.BPF_LD | syscall.BPF_W | syscall.BPF_ABS}, // the number of the system call
		{Code: syscall.BPF_JMP | syscall.BPF_JEQ | syscall.BPF_K, K: syscall.SYS_FSYNC, Jt: 1},
		{Code: syscall.BPF_JMP | syscall.BPF_JEQ | syscall.BPF_K, K: syscall.SYS_FDATASYNC, Jf: 1},
		{Code: syscall.BPF_RET | syscall.BPF_K, K: answerError | uint32(syscall.EIO)},
		{Code: syscall.BPF_RET | syscall.BPF_K, K: allow},
	}
	program := syscall.SockFprog{Len: uint16(len(filter)), Filter: &filter[0]}
	runtime.LockOSThread() // what is set for this thread first is then set for all
	defer runtime.UnlockOSThread()
	if _, _, errno := syscall.RawSyscall6(syscall.SYS_PRCTL, setNoNewPrivileges, 1, 0, 0, 0, 0); errno != 0 {
		return errno
	}
	if _, _, errno := syscall.RawSyscall(sysSeccomp, setFilter, allThreads, uintptr(unsafe.Pointer(&program))); errno != 0 {
		return errno
	}
	return nil
}

func TestFailedFsyncEndsWriting(t *testing.T) {
	dir, isChild := inChild(t)
	if isChild {
		brokenFsync(t, dir, failSyncs)
		return
	}
	// What was refused may be there, as a whole: the writers who ask again get their answer, and everything goes on.
	l := open(t, Options{Dir: dir})
	before := everything(t, l)
	if want := 20 * trialWriters * trialEvents; len(before) < want || len(before)%trialEvents != 0 {
		t.Errorf("%d events are stored, want at least %d and whole appends", len(before), want)
	}
	if err := l.Writable(); err != nil {
		t.Error(err)
	}
	d := newTrial(dir)
	d.write(t, l, 5, 1)
	if got := everything(t, l); len(got) != len(before)+5*trialWriters*trialEvents {
		t.Errorf("%d events afterwards", len(got))
	}
}
