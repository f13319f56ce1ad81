package esdbservertest_test

import (
	"os/exec"
	"strings"
	"testing"
)

// The kit belongs to tests: a program that imported it would carry package testing and its flags.
func TestProgramsDoNotContainTheKit(t *testing.T) {
	list, err := exec.Command("go", "list", "-f", `{{if eq .Name "main"}}{{.ImportPath}}{{range .Deps}} {{.}}{{end}}{{end}}`,
		"orderflow/cmd/...", "orderflow/services/...").Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	programs := 0
	for line := range strings.Lines(string(list)) {
		imports := strings.Fields(line)
		if len(imports) == 0 {
			continue
		}
		programs++
		server := false
		for _, path := range imports[1:] {
			if path == "testing" || path == "orderflow/pkg/esdbserver/esdbservertest" {
				t.Errorf("%s imports %s", imports[0], path)
			}
			server = server || path == "orderflow/pkg/esdbserver"
		}
		if imports[0] == "orderflow/cmd/eventstore" && !server {
			t.Error("the list is not what it should be: the eventstore command does not contain the server")
		}
	}
	if programs < 2 {
		t.Errorf("found %d programs", programs)
	}
}
