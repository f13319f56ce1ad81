// Command benchtable reads what go test -bench writes and shows it so that a person can compare: package by package, one
// line for each benchmark, the ratios to a limit first. Whatever else a benchmark says is shown as it is.
//
//	go test -run '^$' -bench . ./pkg/... | go run ./scripts/benchtable
//
// With -count, a figure is the median, followed by the lowest and the highest.
package main

import (
	"fmt"
	"os"
)

func main() {
	if err := rewrite(os.Stdin, os.Stdout); err != nil {
		fmt.Fprintf(os.Stderr, "benchtable: %v\n", err)
		os.Exit(1)
	}
}
