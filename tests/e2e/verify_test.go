package e2e

import (
	"context"
	"os/exec"
)

// Verifies has orderflow verify look at the system. What was committed is all
// there, whoever was killed: it must find nothing.
func (w *world) Verifies() {
	w.t.Helper()
	args := []string{"verify", "--event-store", w.eventStore, "--lag", "5s"}
	for name, url := range w.urls {
		args = append(args, "--url", name+"="+url)
	}
	ctx, cancel := context.WithTimeout(w.t.Context(), 2*patience)
	defer cancel()
	program := programs.path(w.t, "orderflow", "orderflow/cmd/orderflow")
	out, err := exec.CommandContext(ctx, program, args...).CombinedOutput()
	if err != nil {
		w.t.Errorf("orderflow verify: %v\n%s", err, out)
	}
}
