package main

import (
	"bytes"
	"strings"
	"testing"
)

func TestClosingLineCountsWhatEnded(t *testing.T) {
	for _, test := range []struct {
		name, in, line string
		good           bool
	}{
		{"nothing ran", ``, "0 passed, 0 failed, 0 skipped", false},
		{"all passed", `{"Action":"run","Package":"p","Test":"A"}
{"Action":"pass","Package":"p","Test":"A"}
{"Action":"pass","Package":"p","Test":"A/inner"}
{"Action":"skip","Package":"p","Test":"B"}
{"Action":"pass","Package":"p","Elapsed":0.1}`, "2 passed, 0 failed, 1 skipped", true},
		{"one failed", `{"Action":"fail","Package":"p","Test":"A"}
{"Action":"fail","Package":"p"}`, "0 passed, 1 failed, 0 skipped", false},
		{"one package failed beside others", `{"Action":"pass","Package":"q","Test":"A"}
{"Action":"fail","Package":"p"}`, "1 passed, 1 failed, 0 skipped", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			tally, err := read(strings.NewReader(test.in), &bytes.Buffer{}, false)
			if err != nil {
				t.Fatal(err)
			}
			if tally.String() != test.line || tally.good() != test.good {
				t.Errorf("says %q and good=%t, want %q and %t", tally, tally.good(), test.line, test.good)
			}
		})
	}
}

func TestOnlyFailedTestsAreQuoted(t *testing.T) {
	const in = `{"Action":"output","Package":"p","Test":"A","Output":"all is well\n"}
{"Action":"pass","Package":"p","Test":"A"}
{"Action":"output","Package":"p","Test":"B","Output":"the reason\n"}
{"Action":"fail","Package":"p","Test":"B"}
{"Action":"fail","Package":"p"}
go: a word of the go command
`
	var shown bytes.Buffer
	if _, err := read(strings.NewReader(in), &shown, false); err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"the reason", "fail  p", "a word of the go command"} {
		if !strings.Contains(shown.String(), want) {
			t.Errorf("%q is missing in:\n%s", want, &shown)
		}
	}
	if strings.Contains(shown.String(), "all is well") {
		t.Errorf("a test that passed is quoted:\n%s", &shown)
	}
	shown.Reset()
	if _, err := read(strings.NewReader(in), &shown, true); err != nil || shown.Len() > 0 {
		t.Errorf("quiet says %q, %v", &shown, err)
	}
}

func TestTestThatWasRunningWhenItsProcessDiedIsQuoted(t *testing.T) {
	const in = `{"Action":"output","Package":"p","Test":"A","Output":"panic: test timed out\n"}
{"Action":"output","Package":"other","Test":"A","Output":"still running\n"}
{"Action":"fail","Package":"p","Elapsed":600}
`
	var shown bytes.Buffer
	if _, err := read(strings.NewReader(in), &shown, false); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(shown.String(), "test timed out") || strings.Contains(shown.String(), "still running") {
		t.Errorf("shown:\n%s", &shown)
	}
}
