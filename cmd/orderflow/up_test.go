package main

import (
	"bytes"
	"context"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"orderflow/cmd/orderflow/internal/client"
	"orderflow/cmd/orderflow/internal/embedded"
)

func TestUpReturnsWhenEveryServiceWorksAndDownKeepsTheData(t *testing.T) {
	w := newWorld(t)
	if s := w.orderflow("status"); s.code != 1 || !strings.Contains(s.err, "nothing is up") {
		t.Errorf("status before: %+v", s)
	}
	out := w.must("up")
	for _, name := range embedded.Names() {
		if !strings.Contains(out, w.state().URLs[name]) {
			t.Errorf("up does not say where %s is:\n%s", name, out)
		}
	}
	if !strings.Contains(out, "stack: embedded (as told)") || !strings.Contains(out, "curl -i "+w.state().URLs["catalog"]) {
		t.Errorf("up says neither which stack nor a first request:\n%s", out)
	}
	status := w.must("status")
	if strings.Count(status, " ready") != len(embedded.Names()) {
		t.Errorf("status after up:\n%s", status)
	}

	services := client.New(w.state().URLs, 1)
	defer services.Close()
	product := client.Product{SKU: "tea", Name: "Tea", Price: client.Money{Amount: 100, Currency: "EUR"}}
	if err := services.ListProduct(t.Context(), product); err != nil {
		t.Fatal(err)
	}
	if again := w.must("up"); !strings.Contains(again, "already up") {
		t.Errorf("up twice:\n%s", again)
	}
	w.must("down")
	if pid, err := w.dir.Runner(); err != nil || pid != 0 {
		t.Fatalf("after down process %d runs, %v", pid, err)
	}
	if out := w.must("down"); !strings.Contains(out, "nothing was up") {
		t.Errorf("down twice:\n%s", out)
	}

	w.must("up")
	moved := client.New(w.state().URLs, 1)
	defer moved.Close()
	if err := moved.ListProduct(t.Context(), product); err == nil || !strings.Contains(err.Error(), "409") {
		t.Errorf("the product of before is gone: listing it again gives %v", err)
	}
	if log := w.must("logs"); strings.Count(log, "msg=started service=eventstore") != 2 {
		t.Errorf("the log does not show two starts:\n%s", log)
	}
	w.must("clean")
	if _, err := os.Stat(w.dir.String()); !os.IsNotExist(err) {
		t.Errorf("clean left something: %v", err)
	}
}

func TestSystemThatWasKilledStartsAgain(t *testing.T) {
	w := newWorld(t)
	w.must("up")
	pid, err := w.dir.Runner()
	if err != nil || pid == 0 {
		t.Fatalf("process %d, %v", pid, err)
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	eventually(t, "the lock is free", func() bool { pid, err := w.dir.Runner(); return err == nil && pid == 0 })
	if out := w.must("up"); strings.Contains(out, "already up") {
		t.Errorf("a dead system counts as up:\n%s", out)
	}
}

func TestSecondSystemOnTheSameDataIsRefused(t *testing.T) {
	w := newWorld(t)
	w.must("up")
	s := w.orderflow("run")
	if s.code != 1 || strings.Count(s.err, "\n") != 1 || !strings.Contains(s.err, "is in use by process") {
		t.Errorf("run beside up: %+v", s)
	}
	w.must("status")
}

func TestRunSaysInOneLineWhichSettingToChange(t *testing.T) {
	for _, test := range []struct {
		name, variable, value string
		says                  []string
	}{
		{"port of a service", "ORDER_ADDR", taken(t), []string{"ORDER_ADDR", "is taken"}},
		{"port of the event store", "EVENTSTORE_ADDR", taken(t), []string{"EVENTSTORE_ADDR", "is taken"}},
		{"no address", "CRM_ADDR", "nowhere", []string{"CRM_ADDR"}},
		{"no database", "DATABASE_URL_PACKING", "mysql://x", []string{"DATABASE_URL_PACKING", "mysql"}},
		{"no event bus", "EVENTBUS_URL", "http://x", []string{"EVENTBUS_URL", "http"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			for _, command := range []string{"run", "up"} {
				w := newWorld(t)
				w.environ[test.variable] = test.value
				s := w.orderflow(command)
				if s.code != 1 {
					t.Fatalf("%s: exit code %d\n%s", command, s.code, s.err)
				}
				complaint := strings.Join(complaints(s.err), "\n")
				if command == "run" && strings.Contains(complaint, "\n") {
					t.Errorf("%s complains in several lines:\n%s", command, complaint)
				}
				for _, text := range test.says {
					if !strings.Contains(s.err, text) {
						t.Errorf("%s does not say %q:\n%s", command, text, s.err)
					}
				}
				if pid, err := w.dir.Runner(); err != nil || pid != 0 {
					t.Errorf("%s left process %d running, %v", command, pid, err)
				}
			}
		})
	}
}

// complaints are the lines that are no log lines.
func complaints(text string) []string {
	var found []string
	for line := range strings.Lines(text) {
		if !strings.HasPrefix(line, "time=") {
			found = append(found, strings.TrimSuffix(line, "\n"))
		}
	}
	return found
}

func TestRunStopsCleanlyAndAnnouncesWhenItIsReady(t *testing.T) {
	w := newWorld(t)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var out, log locked
	ended := make(chan int, 1)
	go func() {
		ended <- run(ctx, []string{"run", "--data", w.dir.String()}, terminal{Out: &out, Err: &log, Environ: w.environ})
	}()
	eventually(t, "the ready line", func() bool { return strings.HasPrefix(out.String(), "ready: ") })
	stop()
	if code := <-ended; code != 0 {
		t.Errorf("exit code %d:\n%s", code, log.String())
	}
	if bad := complaints(log.String()); len(bad) > 0 {
		t.Errorf("complaints after a clean stop: %q", bad)
	}
	if _, up, err := runningState(w.dir); up || err != nil {
		t.Errorf("counts as up after its end, %v", err)
	}
}

func TestCleanTouchesNothingThatIsNotOurs(t *testing.T) {
	w := newWorld(t)
	if err := os.MkdirAll(w.dir.String(), 0o700); err != nil {
		t.Fatal(err)
	}
	foreign := filepath.Join(w.dir.String(), "thesis.txt")
	if err := os.WriteFile(foreign, []byte("years of work"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, command := range []string{"clean", "run", "up"} {
		s := w.orderflow(command)
		if s.code != 1 || !strings.Contains(s.err, "thesis.txt") {
			t.Errorf("%s: %+v", command, s)
		}
	}
	entries, err := os.ReadDir(w.dir.String())
	if err != nil || len(entries) != 1 {
		t.Errorf("the folder holds %v, %v", entries, err)
	}
}

func TestCommandLineThatMakesNoSenseEndsWithTwo(t *testing.T) {
	for _, args := range [][]string{{"fly"}, {"up", "--stack", "cloud"}, {"load"}, {"health"}, {"clean", "--data", ""}} {
		var out, complaint bytes.Buffer
		if code := run(t.Context(), args, terminal{Out: &out, Err: &complaint}); code != 2 {
			t.Errorf("%v: exit code %d", args, code)
		}
		if strings.Count(complaint.String(), "\n") != 1 {
			t.Errorf("%v: %s", args, &complaint)
		}
	}
}
