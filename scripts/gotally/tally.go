package main

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
)

// tally counts tests.
type tally struct {
	passed, failed, skipped int
	// broken counts packages that failed without a failed test: they did not build, or their process died.
	broken int
}

func (t tally) good() bool { return t.failed == 0 && t.broken == 0 && t.passed > 0 }

// String is the closing line. A package that is broken counts as a failure.
func (t tally) String() string {
	return fmt.Sprintf("%d passed, %d failed, %d skipped", t.passed, t.failed+t.broken, t.skipped)
}

// event is one line of go test -json.
type event struct {
	Action, Package, Test, Output, ImportPath string
	Elapsed                                   float64
}

// read counts the tests in a stream of events and, unless quiet, shows on out what a reader wants to know of them.
func read(in io.Reader, out io.Writer, quiet bool) (tally, error) {
	if quiet {
		out = io.Discard
	}
	var total tally
	said := map[string]*strings.Builder{} // by test, until it has ended
	failures := map[string]bool{}         // packages with a failed test
	lines := bufio.NewReader(in)
	for {
		line, err := lines.ReadBytes('\n')
		if len(line) > 0 {
			var e event
			if json.Unmarshal(line, &e) != nil || e.Action == "" {
				_, _ = out.Write(line) // of the go command itself
			} else {
				total.count(e, failures)
				show(e, said, out)
			}
		}
		if errors.Is(err, io.EOF) {
			return total, nil
		}
		if err != nil {
			return total, err
		}
	}
}

func (t *tally) count(e event, failures map[string]bool) {
	switch {
	case e.Test == "" && e.Action == "fail" && !failures[e.Package]:
		t.broken++
	case e.Test == "":
	case e.Action == "pass":
		t.passed++
	case e.Action == "skip":
		t.skipped++
	case e.Action == "fail":
		t.failed++
		failures[e.Package] = true
	}
}

// show keeps what each test says until it has ended, and shows that of the failed ones. What was said outside of any
// test is that of the package.
func show(e event, said map[string]*strings.Builder, out io.Writer) {
	key := e.Package + " " + e.Test
	switch e.Action {
	case "output":
		if said[key] == nil {
			said[key] = &strings.Builder{}
		}
		said[key].WriteString(e.Output)
	case "build-output":
		fmt.Fprint(out, e.Output)
	case "pass", "skip", "fail":
		text := ""
		if said[key] != nil {
			text = said[key].String()
			delete(said, key)
		}
		if e.Action == "fail" {
			fmt.Fprint(out, text)
		}
		if e.Action == "fail" && e.Test == "" { // tests that were running when their process died never end
			for _, other := range slices.Sorted(maps.Keys(said)) {
				if strings.HasPrefix(other, key) {
					fmt.Fprint(out, said[other])
					delete(said, other)
				}
			}
		}
		if e.Test == "" && e.Action != "skip" { // a package without tests is skipped
			fmt.Fprintf(out, "%-4s  %-52s %6.1f s\n", e.Action, e.Package, e.Elapsed)
		}
	}
}
