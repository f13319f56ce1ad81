// Command gotally reads what go test -json writes, shows each package when it has ended and everything that a failed test
// said, and closes with one line: how many tests passed, failed and were skipped.
//
//	go test -json ./... | tee tests.json | go run ./scripts/gotally
//	cat *.json | go run ./scripts/gotally -q      only the closing line
//
// Tests inside tests are counted as well. It exits 1 when anything failed or when there was no test at all.
package main

import (
	"fmt"
	"os"
	"slices"
)

func main() {
	tally, err := read(os.Stdin, os.Stdout, slices.Contains(os.Args[1:], "-q"))
	if err != nil {
		fmt.Fprintf(os.Stderr, "gotally: %v\n", err)
		os.Exit(1)
	}
	fmt.Fprintln(os.Stdout, tally)
	if !tally.good() {
		os.Exit(1)
	}
}
