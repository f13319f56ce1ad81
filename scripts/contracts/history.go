package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"
)

// goldens are the files of stored events, wherever in a service they are; those
// of what was announced for them are not, as an event may come to be announced in
// one more version, or in one less.
var goldens = [...]string{"services/*/testdata/*.v[0-9]*.json", ":(exclude)services/*/internal/announce/testdata/*"}

// history is that of the tree in a folder, which need not have one.
type history struct{ tree string }

func (h history) git(ctx context.Context, args ...string) (string, error) {
	return h.gitWith(ctx, nil, args...)
}

func (h history) gitWith(ctx context.Context, env []string, args ...string) (string, error) {
	var out, problem bytes.Buffer
	cmd := exec.CommandContext(ctx, "git", append([]string{"-C", h.tree}, args...)...)
	cmd.Env = append(append(os.Environ(), "GIT_TERMINAL_PROMPT=0"), env...)
	cmd.Stdout, cmd.Stderr = &out, &problem
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("git %s: %w: %s", strings.Join(args, " "), err, strings.TrimSpace(problem.String()))
	}
	return strings.TrimSpace(out.String()), nil
}

// patience bounds fetching what a shallow clone lacks.
const patience = time.Minute

// base is the commit to compare with, empty when there is none.
func (h history) base(ctx context.Context, out io.Writer) (string, error) {
	if _, err := os.Stat(filepath.Join(h.tree, ".git")); err != nil {
		return "", nil // an unpacked archive
	}
	shallow, err := h.git(ctx, "rev-parse", "--is-shallow-repository")
	if err != nil {
		return "", fmt.Errorf("%w: %w", errNoHistory, err)
	}
	if shallow == "true" {
		patient, cancel := context.WithTimeout(ctx, patience)
		defer cancel()
		if _, err := h.git(patient, "fetch", "--quiet", "--unshallow"); err != nil {
			fmt.Fprintln(out, "the history is cut off (a shallow clone), and the rest cannot be fetched:", err)
		}
	}
	head, err := h.git(ctx, "rev-parse", "--quiet", "--verify", "HEAD")
	if err != nil {
		return "", nil // no commit yet
	}
	for _, trunk := range []string{"origin/main", "main"} {
		if left, err := h.git(ctx, "merge-base", "HEAD", trunk); err == nil && left != head {
			return left, nil
		}
	}
	before, err := h.git(ctx, "rev-parse", "--quiet", "--verify", "HEAD^")
	if err != nil {
		return "", nil // the first commit, or the last one of those that are there
	}
	return before, nil
}

// name is a commit as people know it.
func (h history) name(ctx context.Context, commit string) string {
	name, err := h.git(ctx, "log", "-1", "--format=%h (%s)", commit)
	if err != nil {
		return commit
	}
	return name
}

// unpack writes a folder of a commit into another folder. The index of its own
// keeps the tree's as it is.
func (h history) unpack(ctx context.Context, commit, into, folder string) error {
	index := "GIT_INDEX_FILE=" + filepath.Join(into, "index")
	_, err := h.gitWith(ctx, []string{index}, "--work-tree="+into, "checkout", "--quiet", commit, "--", folder)
	return err
}

// edited lists the files among paths that a commit has, and that are not in the
// tree as they are there.
func (h history) edited(ctx context.Context, commit string, paths ...string) ([]string, error) {
	args := append([]string{"diff", "--name-only", "--no-renames", "--diff-filter=MDT", commit, "--"}, paths...)
	list, err := h.git(ctx, args...)
	if err != nil || list == "" {
		return nil, err
	}
	return strings.Split(list, "\n"), nil
}
