package main

import (
	"bufio"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
)

// figure is one kind of result of a benchmark, with a value for each time it ran.
type figure struct {
	unit   string
	values []float64
}

// benchmark is what is known of one.
type benchmark struct {
	name    string
	figures []*figure
}

// table is the benchmarks of one package, in the order of their running.
type table struct {
	pkg        string
	benchmarks []*benchmark
}

// rewrite shows each package when it has ended.
func rewrite(in io.Reader, out io.Writer) error {
	var now table
	lines := bufio.NewScanner(in)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		line := lines.Text()
		switch {
		case strings.HasPrefix(line, "pkg: "):
			now = table{pkg: strings.TrimPrefix(strings.TrimPrefix(line, "pkg: "), "orderflow/")}
		case strings.HasPrefix(line, "ok  "), strings.HasPrefix(line, "FAIL"), strings.HasPrefix(line, "exit status"):
			if err := now.write(out); err != nil {
				return err
			}
			now = table{}
			if !strings.HasPrefix(line, "ok") {
				fmt.Fprintln(out, line)
			}
		case strings.HasPrefix(line, "goos: "), strings.HasPrefix(line, "goarch: "), strings.HasPrefix(line, "cpu: "),
			line == "PASS", line == "", strings.HasPrefix(line, "?   "), now.add(line):
		default:
			fmt.Fprintln(out, line)
		}
	}
	return lines.Err()
}

// add takes in the results of a benchmark and reports whether the line has any.
func (t *table) add(line string) bool {
	words := strings.Fields(line)
	if len(words) < 4 || len(words)%2 != 0 || !strings.HasPrefix(words[0], "Benchmark") {
		return false
	}
	if _, err := strconv.Atoi(words[1]); err != nil {
		return false
	}
	b := t.of(words[0])
	for pair := range slices.Chunk(words[2:], 2) {
		value, err := strconv.ParseFloat(pair[0], 64)
		if err != nil {
			return false
		}
		b.add(pair[1], value)
	}
	return true
}

// cores is what go test puts behind the name of a benchmark.
var cores = regexp.MustCompile(`-\d+$`)

func (t *table) of(name string) *benchmark {
	name = strings.ReplaceAll(cores.ReplaceAllString(strings.TrimPrefix(name, "Benchmark"), ""), "_", " ")
	for _, known := range t.benchmarks {
		if known.name == name {
			return known
		}
	}
	t.benchmarks = append(t.benchmarks, &benchmark{name: name})
	return t.benchmarks[len(t.benchmarks)-1]
}

func (b *benchmark) add(unit string, value float64) {
	for _, known := range b.figures {
		if known.unit == unit {
			known.values = append(known.values, value)
			return
		}
	}
	b.figures = append(b.figures, &figure{unit, []float64{value}})
}

func (t *table) write(out io.Writer) error {
	if len(t.benchmarks) == 0 {
		return nil
	}
	fmt.Fprintf(out, "\n%s\n", t.pkg)
	columns := tabwriter.NewWriter(out, 0, 0, 3, ' ', 0)
	for _, b := range t.benchmarks {
		slices.SortStableFunc(b.figures, func(x, y *figure) int { return x.rank() - y.rank() })
		line := "  " + b.name
		for _, f := range b.figures {
			line += "\t" + f.String()
		}
		fmt.Fprintln(columns, line)
	}
	return columns.Flush()
}

// rank puts ratios first, then what happens a second, then the rest, the memory last.
func (f *figure) rank() int {
	switch {
	case f.isRatio():
		return 0
	case strings.HasSuffix(f.unit, "/s"):
		return 1
	case strings.HasSuffix(f.unit, "/op"):
		return 3
	}
	return 2
}

// isRatio recognises figures of our own: a share of a limit that was measured in the same run.
func (f *figure) isRatio() bool {
	return strings.HasSuffix(f.unit, "ratio") || strings.HasPrefix(f.unit, "of-") || strings.HasPrefix(f.unit, "times-")
}

// String is the median with its unit, and the lowest and the highest when there are several.
func (f *figure) String() string {
	sorted := slices.Sorted(slices.Values(f.values))
	text := number(sorted[len(sorted)/2]) + " " + f.unit
	if len(sorted) > 1 {
		text += fmt.Sprintf(" (%s to %s)", number(sorted[0]), number(sorted[len(sorted)-1]))
	}
	return text
}

// number has three digits that mean something, and commas where it is long.
func number(value float64) string {
	switch {
	case value >= 1000:
		text := strconv.FormatFloat(value, 'f', 0, 64)
		for i := len(text) - 3; i > 0; i -= 3 {
			text = text[:i] + "," + text[i:]
		}
		return text
	case value >= 100:
		return strconv.FormatFloat(value, 'f', 0, 64)
	case value >= 10:
		return strconv.FormatFloat(value, 'f', 1, 64)
	default:
		return strconv.FormatFloat(value, 'f', 2, 64)
	}
}
