package stack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fakeDocker puts a docker command in front of any other: a script that writes down what it was asked and answers with
// body, which sees the arguments. asked returns what it was asked.
func fakeDocker(t *testing.T, body string) (c Compose, asked func() []string) {
	t.Helper()
	dir := t.TempDir()
	log := filepath.Join(dir, "asked")
	script := fmt.Sprintf("#!/bin/sh\necho \"$*\" >>%q\n%s\n", log, body)
	if err := os.WriteFile(filepath.Join(dir, "docker"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", dir+string(os.PathListSeparator)+os.Getenv("PATH"))
	file := filepath.Join(dir, "compose.yml")
	if err := os.WriteFile(file, []byte("services: {}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	return Compose{File: file, Out: &bytes.Buffer{}}, func() []string {
		text, err := os.ReadFile(log)
		if err != nil {
			return nil
		}
		return strings.Split(strings.TrimSpace(strings.ReplaceAll(string(text), file, "FILE")), "\n")
	}
}

func TestContainersAreStartedInThisOrder(t *testing.T) {
	c, asked := fakeDocker(t, "")
	ctx := t.Context()
	if err := errors.Join(c.Usable(ctx), c.Prepare(ctx), c.Up(ctx, true), c.Logs(ctx, true), c.Down(ctx, false), c.Down(ctx, true)); err != nil {
		t.Fatal(err)
	}
	want := []string{
		"version --format {{.Server.Version}}",
		"compose version",
		"compose -f FILE pull --ignore-buildable --policy missing",
		"compose -f FILE build",
		"compose -f FILE up -d --build --wait",
		"compose -f FILE logs --follow",
		"compose -f FILE down --remove-orphans",
		"compose -f FILE down --remove-orphans --volumes",
	}
	if diff := cmp.Diff(want, asked()); diff != "" {
		t.Errorf("docker was asked (-want +got):\n%s", diff)
	}
}

func TestDockerThatCannotBeUsedSaysWhyInOneLine(t *testing.T) {
	for _, test := range []struct{ name, body, says string }{
		{"no engine", `echo "Cannot connect to the Docker daemon" >&2; exit 1`, "no Docker engine answers: Cannot connect to the Docker daemon"},
		{"no compose", `[ "$1" = version ] || { echo "docker: unknown command: docker compose" >&2; echo >&2; echo "Run 'docker --help'" >&2; exit 1; }`, "docker has no compose: docker: unknown command: docker compose"},
	} {
		t.Run(test.name, func(t *testing.T) {
			c, _ := fakeDocker(t, test.body)
			if err := c.Usable(t.Context()); err == nil || err.Error() != test.says {
				t.Errorf("says %v, want %s", err, test.says)
			}
		})
	}
	t.Run("no compose file", func(t *testing.T) {
		c := Compose{File: filepath.Join(t.TempDir(), "none.yml")}
		if err := c.Usable(t.Context()); err == nil || !strings.Contains(err.Error(), "none.yml") {
			t.Errorf("says %v", err)
		}
	})
	t.Run("no docker", func(t *testing.T) {
		c, _ := fakeDocker(t, "")
		t.Setenv("PATH", t.TempDir())
		if err := c.Usable(t.Context()); err == nil || err.Error() != "there is no docker command" {
			t.Errorf("says %v", err)
		}
	})
}

func TestImageThatCannotBeHadIsNamed(t *testing.T) {
	c, _ := fakeDocker(t, `case "$*" in *pull*) echo "manifest unknown: rabbitmq" >&2; exit 18;; esac`)
	if err := c.Prepare(t.Context()); err == nil || !strings.Contains(err.Error(), "manifest unknown: rabbitmq") || strings.Contains(err.Error(), "\n") {
		t.Errorf("says %v", err)
	}
}

// engine is what Choose is told about Docker.
type engine struct{ usable, prepare error }

func (e engine) Usable(context.Context) error  { return e.usable }
func (e engine) Prepare(context.Context) error { return e.prepare }

func TestDockerIsTakenWhenItAnswersAndHasTheImages(t *testing.T) {
	no := errors.New("no engine answers")
	for _, test := range []struct {
		name, forced string
		docker       engine
		want         Choice
		fails        bool
	}{
		{"docker is there", "", engine{}, Choice{"docker", "a Docker engine answers and has the images"}, false},
		{"docker is not there", "", engine{usable: no}, Choice{"embedded", "no engine answers"}, false},
		{"images cannot be had", "", engine{prepare: no}, Choice{"embedded", "no engine answers"}, false},
		{"embedded is demanded", "embedded", engine{}, Choice{"embedded", "as told"}, false},
		{"docker is demanded", "docker", engine{}, Choice{"docker", "as told"}, false},
		{"docker is demanded and not there", "docker", engine{usable: no}, Choice{}, true},
		{"docker is demanded without images", "docker", engine{prepare: no}, Choice{}, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := Choose(t.Context(), test.forced, test.docker)
			if got != test.want || (err != nil) != test.fails {
				t.Errorf("chose %v, %v", got, err)
			}
		})
	}
	t.Run("interrupted", func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if _, err := Choose(ctx, "", engine{prepare: no}); !errors.Is(err, context.Canceled) {
			t.Errorf("chose with %v", err)
		}
	})
}
