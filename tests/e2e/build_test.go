package e2e

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// services are the services that a client can talk to.
var services = []string{"customer", "catalog", "order", "packing", "dispatch", "crm", "reporting", "console"}

// binaries is the folder of the programs under test. Each is built once, when
// first asked for, so that a run of one arrangement builds only what it needs.
type binaries struct {
	dir   string
	guard *guard

	mu    sync.Mutex
	built map[string]error
}

func TestMain(m *testing.M) {
	if os.Getenv(guardVariable) != "" {
		beGuard(os.Stdin)
		return
	}
	os.Exit(func() int {
		dir, err := os.MkdirTemp("", "orderflow-e2e-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer func() { _ = os.RemoveAll(dir) }() // a folder of temporary files
		programs.dir = dir
		if programs.guard, err = startGuard(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		return m.Run()
	}())
}

// programs is shared by the arrangements of one run.
var programs = binaries{built: map[string]error{}}

// path returns the program built from a package of this module.
func (b *binaries) path(t testing.TB, name, pkg string) string {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	path := filepath.Join(b.dir, name)
	err, done := b.built[name]
	if !done {
		// Symbols are of no use here and cost linking time.
		build := exec.Command("go", "build", "-ldflags=-s -w", "-o", path, pkg)
		var output []byte
		if output, err = build.CombinedOutput(); err != nil {
			err = fmt.Errorf("build %s: %w\n%s", pkg, err, output)
		}
		b.built[name] = err
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}
