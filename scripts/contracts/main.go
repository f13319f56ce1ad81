// Command contracts holds the contracts of this tree against those of before: it
// fails when a field was removed, retyped or is newly required, or a sample was
// edited. Before is what contracts/released has recorded, and with --base also
// the folder contracts of another version.
//
//	contracts [--base FOLDER]   compare
//	contracts --record          compare, then record what has grown
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"

	"orderflow/contracts/shape"
)

func main() {
	base := flag.String("base", "", "folder contracts of the version to compare with as well")
	record := flag.Bool("record", false, "record what has grown")
	flag.Parse()
	if err := run(os.Stdout, "contracts", *base, *record); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(out io.Writer, folder, base string, record bool) error {
	now, err := shape.Read(os.DirFS(folder))
	if err != nil {
		return err
	}
	released := filepath.Join(folder, "released")
	recorded, err := shape.ReadRecord(os.DirFS(released))
	if err != nil {
		return err
	}
	if err := only(out, "the record", recorded, now); err != nil {
		return err
	}
	if base != "" {
		before, err := shape.Read(os.DirFS(base))
		if err != nil {
			return fmt.Errorf("contracts in %s: %w", base, err)
		}
		if len(before) == 0 {
			return fmt.Errorf("no contracts in %s", base)
		}
		if err := only(out, "the base", before, now); err != nil {
			return err
		}
	}
	if record {
		return shape.WriteRecord(released, now)
	}
	if !reflect.DeepEqual(recorded, now) {
		return fmt.Errorf("the contracts have grown beyond what %s has recorded: make contracts-record", released)
	}
	return nil
}

// only fails when contracts have done anything but grow.
func only(out io.Writer, than string, before, after map[string]shape.Shape) error {
	broken := shape.Broken(before, after)
	for _, what := range broken {
		fmt.Fprintln(out, what)
	}
	if len(broken) > 0 {
		return fmt.Errorf("%d promises of %s are broken: publish a new version beside the old one instead (docs/versions.md)", len(broken), than)
	}
	fmt.Fprintf(out, "%d contracts keep what %s promised in %d\n", len(after), than, len(before))
	return nil
}
