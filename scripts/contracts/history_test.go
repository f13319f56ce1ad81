package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const golden = "services/order/internal/anywhere/testdata/order-placed.v1.json"

// tree is a repository with one of the contracts of this one and a golden, in two
// commits, of which the last one is beside the subject.
func tree(t *testing.T) string {
	t.Helper()
	if _, err := exec.LookPath("git"); err != nil {
		t.Skip("there is no git")
	}
	folder := t.TempDir()
	for _, name := range []string{placed, "released/" + strings.Replace(placed, ".schema", "", 1), "readers.json", "retired.json"} {
		text, err := os.ReadFile(filepath.Join(here, name))
		if err != nil {
			t.Fatal(err)
		}
		write(t, folder, "contracts/"+name, string(text))
	}
	samples := filepath.Join("samples", strings.TrimSuffix(placed, ".schema.json"))
	if err := os.CopyFS(filepath.Join(folder, "contracts", samples), os.DirFS(filepath.Join(here, samples))); err != nil {
		t.Fatal(err)
	}
	write(t, folder, golden, "{}")
	write(t, folder, "services/order/internal/announce/testdata/order-placed.v1.json", "[]")
	git(t, folder, "init", "--quiet", "--initial-branch=main")
	commit(t, folder)
	write(t, folder, "README.md", "more")
	commit(t, folder)
	return folder
}

func write(t *testing.T, tree, name, text string) {
	t.Helper()
	path := filepath.Join(tree, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
}

func git(t *testing.T, tree string, args ...string) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "git", append([]string{
		"-C", tree, "-c", "user.name=t", "-c", "user.email=t@example.org", "-c", "commit.gpgsign=false", "-c", "core.fsync=none",
	}, args...)...)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("git %v: %v\n%s", args, err, out)
	}
}

func commit(t *testing.T, tree string) {
	t.Helper()
	git(t, tree, "add", "--all")
	git(t, tree, "commit", "--quiet", "--message=t")
}

// forget changes a contract in a way that breaks it, and its record with it.
func forget(t *testing.T, tree string) {
	t.Helper()
	folder := filepath.Join(tree, "contracts")
	edit(t, folder, placed, `"currency": {`, `"money": {`)
	edit(t, folder, placed, `"currency",`, `"money",`)
	if err := os.Remove(filepath.Join(folder, "released", strings.Replace(placed, ".schema", "", 1))); err != nil {
		t.Fatal(err)
	}
	if err := run(t.Context(), &bytes.Buffer{}, tree, "", true); err != nil {
		t.Fatal(err)
	}
}

func TestATreeThatHasOnlyGrownPasses(t *testing.T) {
	folder := tree(t)
	write(t, folder, strings.Replace(golden, "v1", "v2", 1), "{}")
	write(t, folder, "services/order/internal/announce/testdata/order-placed.v1.json", "[{}]")
	var out bytes.Buffer
	if err := run(t.Context(), &out, folder, "", false); err != nil || !strings.Contains(out.String(), "compared with") {
		t.Errorf("%v: %s", err, &out)
	}
	if status, err := (history{folder}).git(t.Context(), "diff", "--cached", "--name-only"); err != nil || status != "" {
		t.Errorf("the index was touched: %s, %v", status, err)
	}
}

// What breaks a promise is found while it is in the working tree, when it is the
// last commit of the trunk, anywhere on a branch, and in a clone that has the
// last commit alone.
func TestABrokenPromiseIsFoundWhereverItIsCommitted(t *testing.T) {
	for what, spoil := range map[string]struct {
		how  func(t *testing.T, tree string)
		says string
	}{
		"contract and record": {forget, `"currency" is removed`},
		"golden edited":       {func(t *testing.T, tree string) { t.Helper(); write(t, tree, golden, `{ }`) }, golden},
		"golden removed": {func(t *testing.T, tree string) {
			t.Helper()
			if err := os.Remove(filepath.Join(tree, golden)); err != nil {
				t.Fatal(err)
			}
		}, golden},
	} {
		for where, place := range map[string]func(t *testing.T, tree string) string{
			"working tree": func(t *testing.T, tree string) string { t.Helper(); spoil.how(t, tree); return tree },
			"trunk":        func(t *testing.T, tree string) string { t.Helper(); spoil.how(t, tree); commit(t, tree); return tree },
			"branch": func(t *testing.T, tree string) string {
				t.Helper()
				git(t, tree, "checkout", "--quiet", "-b", "change")
				spoil.how(t, tree)
				commit(t, tree)
				write(t, tree, "README.md", "and more")
				commit(t, tree)
				return tree
			},
			"shallow clone": func(t *testing.T, tree string) string {
				t.Helper()
				spoil.how(t, tree)
				commit(t, tree)
				clone := filepath.Join(t.TempDir(), "clone")
				git(t, tree, "clone", "--quiet", "--depth=1", "file://"+tree, clone)
				return clone
			},
		} {
			t.Run(what+"/"+where, func(t *testing.T) {
				err := run(t.Context(), &bytes.Buffer{}, place(t, tree(t)), "", false)
				if err == nil || !strings.Contains(err.Error(), spoil.says) {
					t.Errorf("%v, want %q in it", err, spoil.says)
				}
			})
		}
	}
}

func TestACommitCanBeNamed(t *testing.T) {
	folder := tree(t)
	forget(t, folder)
	commit(t, folder)
	write(t, folder, "README.md", "and more")
	commit(t, folder)
	for base, broken := range map[string]bool{"HEAD^": false, "HEAD~2": true, "nowhere": true} {
		if err := run(t.Context(), &bytes.Buffer{}, folder, base, false); (err != nil) != broken {
			t.Errorf("compared with %s: %v", base, err)
		}
	}
}

// Without a commit the record is what there is, and the output says so.
func TestWithoutAHistoryTheRecordIsCompared(t *testing.T) {
	archive := t.TempDir()
	if err := os.CopyFS(filepath.Join(archive, "contracts"), os.DirFS(here)); err != nil {
		t.Fatal(err)
	}
	origin := tree(t)
	orphan := filepath.Join(t.TempDir(), "clone")
	git(t, origin, "clone", "--quiet", "--depth=1", "file://"+origin, orphan)
	git(t, orphan, "remote", "set-url", "origin", filepath.Join(t.TempDir(), "gone"))
	for name, folder := range map[string]string{"archive": archive, "shallow clone of what is gone": orphan} {
		var out bytes.Buffer
		if err := run(t.Context(), &out, folder, "", false); err != nil || !strings.Contains(out.String(), "no commit to compare with") {
			t.Errorf("%s: %v: %s", name, err, &out)
		}
		edit(t, filepath.Join(folder, "contracts"), placed, `"currency",`, ``)
		if err := run(t.Context(), &out, folder, "", false); err == nil {
			t.Errorf("%s: a contract was broken, and the record knows", name)
		}
	}
}
