// Command contracts holds what this tree has published and stored against what
// was before.
//
// Contracts may only have grown: it fails when a field was removed, retyped or is
// newly required, when a sample was edited, and when a type was retired that
// somebody reads, or read a while ago. Goldens of stored events may only have
// been added. Before is what contracts/released has recorded, and a commit:
// whoever breaks a promise can also edit a record.
//
//	contracts [--base COMMIT]   compare
//	contracts --record          compare with the record, then record what has grown
//
// Without COMMIT it is where this change has left the trunk or, on the trunk
// itself, the commit before. A history that was cut off (a shallow clone) is
// fetched. Where there is none to be had, as in an unpacked archive, it says so,
// and the record is all that it compares with.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"time"

	"orderflow/contracts/shape"
)

func main() {
	base := flag.String("base", "", "commit to compare with")
	record := flag.Bool("record", false, "record what has grown")
	flag.Parse()
	if err := run(context.Background(), os.Stdout, ".", *base, *record); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

// run compares the tree in a folder with the record, and unless that is to be
// changed with a commit.
func run(ctx context.Context, out io.Writer, tree, base string, record bool) error {
	folder, h := filepath.Join(tree, "contracts"), history{tree}
	if record {
		return compare(out, folder, "", true)
	}
	if base == "" {
		var err error
		if base, err = h.base(ctx, out); err != nil {
			return err
		}
	}
	if base == "" {
		fmt.Fprintln(out, "no commit to compare with: a record that was edited is not noticed")
		return compare(out, folder, "", false)
	}
	before, err := os.MkdirTemp("", "contracts")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(before) }()
	if err := h.unpack(ctx, base, before, "contracts"); err != nil {
		return err
	}
	fmt.Fprintln(out, "compared with", h.name(ctx, base))
	if err := compare(out, folder, filepath.Join(before, "contracts"), false); err != nil {
		return err
	}
	edited, err := h.edited(ctx, base, goldens[:]...)
	if err != nil {
		return err
	}
	if len(edited) > 0 {
		return fmt.Errorf("goldens of stored events are for ever, and these are not as they were: put them back, and add versions beside them (docs/versions.md)\n%s",
			strings.Join(edited, "\n"))
	}
	return nil
}

// compare holds the contracts in a folder against the record there, and against
// those in the folder base unless that is empty.
func compare(out io.Writer, folder, base string, record bool) error {
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
	if err := retired(folder, base, time.Now()); err != nil {
		return err
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
	if len(broken) > 0 {
		return fmt.Errorf("%d promises of %s are broken: put back what was, and publish what is new as a new version beside the old one (docs/versions.md)\n%s",
			len(broken), than, strings.Join(broken, "\n"))
	}
	fmt.Fprintf(out, "%d contracts keep what %s promised in %d\n", len(after), than, len(before))
	return nil
}

var errNoHistory = errors.New("git does not read the history here")
