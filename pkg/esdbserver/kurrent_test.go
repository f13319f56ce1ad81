package esdbserver_test

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/esdbserver/esdbservertest"
)

// The KurrentDB client registers messages under the names that the older client has taken: a program with both ends before
// main, with a panic about a name conflict over event_store.client.BadRequest. So it is used from a process of its own,
// built of a module of its own, which go.mod here need not name.
func TestKurrentDBClientWorksFromAnotherProcess(t *testing.T) {
	program := buildKurrentClient(t)
	for chapter, want := range map[string][]string{
		"streams": {
			"server: true",
			"append to order-1: revision 1",
			"append to order-2: revision 0",
			"append at another revision: refused",
			"read order-1: 0:placed 1:paid",
			"stream: 0:placed 1:paid",
			"filtered all: 0:placed 0:placed",
			"empty stream: caught up",
			"append to order-1: revision 2",
			"append to never: revision 0",
			"stream, live: 2:packed",
			"filtered all, live: 0:placed",
			"empty stream, live: 0:placed",
			"metadata: max count 1",
			"read order-1: 2:packed",
			"read of a deleted stream: refused",
			"read of a tombstoned stream: refused",
		},
		"groups": {
			"append to task-1: revision 1",
			"group: created",
			"the same group again: refused",
			"group: both acknowledged, one after it was retried",
			"group: workers of task-1",
			"a group that was deleted: refused",
		},
	} {
		t.Run(chapter, func(t *testing.T) {
			store := esdbservertest.New(t)
			ctx, cancel := context.WithTimeout(t.Context(), 2*patience)
			defer cancel()
			var stderr strings.Builder
			command := exec.CommandContext(ctx, program, store.ConnectionString(), chapter)
			command.Stderr = &stderr
			out, err := command.Output()
			if err != nil {
				t.Errorf("the program ended with %v: %s", err, &stderr)
			}
			if diff := cmp.Diff(want, strings.Split(strings.TrimSpace(string(out)), "\n")); diff != "" {
				t.Errorf("steps (-want +got):\n%s", diff)
			}
		})
	}
}

// buildKurrentClient builds the program, whose modules may have to be downloaded. Where that cannot be done the test is
// skipped, or fails when REQUIRE_REAL=1.
func buildKurrentClient(t *testing.T) string {
	t.Helper()
	const module = "testdata/kurrentclient"
	run := func(args ...string) ([]byte, error) {
		command := exec.CommandContext(t.Context(), "go", args...)
		command.Dir = module
		command.Env = append(os.Environ(), "GOWORK=off")
		return command.CombinedOutput()
	}
	if out, err := run("mod", "download"); err != nil {
		if os.Getenv("REQUIRE_REAL") == "1" {
			t.Fatalf("modules of the KurrentDB client: %v\n%s", err, out)
		}
		t.Skipf("the modules of the KurrentDB client cannot be had: %v\n%s", err, out)
	}
	program := filepath.Join(t.TempDir(), "kurrentclient")
	if out, err := run("build", "-o", program, "."); err != nil {
		t.Fatalf("build: %v\n%s", err, out)
	}
	return program
}
