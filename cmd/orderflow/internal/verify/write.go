package verify

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode"
)

// atOnce is how many differences of one service people are shown.
const atOnce = 20

// Write writes the report for people: one line about everything, then the
// differences by service, at most 20 of each.
func (r Report) Write(out io.Writer, lag time.Duration) error {
	text := &strings.Builder{}
	fmt.Fprintf(text, "%s, %s and %s (%s), %s\n", count(r.Orders, "order"), count(r.Customers, "customer"), count(r.Products, "product"),
		count(r.Events, "event"), count(r.Announcements, "announcement"))
	for _, name := range slices.Sorted(maps.Keys(r.NotChecked)) {
		fmt.Fprintf(text, "not checked: %s, %s\n", name, r.NotChecked[name])
	}
	for _, name := range Services() {
		told, shown := 0, 0
		for _, d := range r.Differences {
			if d.Service != name {
				continue
			}
			if told++; shown == 0 {
				fmt.Fprintf(text, "\n%s\n", name)
			}
			if shown < atOnce {
				shown++
				fmt.Fprintf(text, "  %-11s  %s\n", d.Problem, printable(d.String()))
			}
		}
		if mend := mends(r.Differences, name); mend != "" {
			fmt.Fprintf(text, "  to mend rows: %s\n", mend)
		}
		if told > shown {
			fmt.Fprintf(text, "  and %d more (--json shows all)\n", told-shown)
		}
		if further := r.Further[name]; further > 0 {
			fmt.Fprintf(text, "  and %s has %d more that were looked at once only (--most says how many are looked at twice)\n", name, further)
		}
	}
	if r.Unjudged > 0 {
		fmt.Fprintf(text, "%d not judged: still changing, or younger than %s\n", r.Unjudged, lag)
	}
	if r.Fine() {
		what := "everything"
		if !r.Whole() {
			what = "of the others, everything"
		}
		fmt.Fprintf(text, "%s that is older than %s is shown everywhere, once, as it was committed\n", what, lag)
	}
	fmt.Fprintf(text, "announcements were looked for back to %s\n", r.AnnouncedSince.Format("2006-01-02 15:04 UTC"))
	_, err := io.WriteString(out, text.String())
	return err
}

// count is a number of things.
func count(n int, thing string) string {
	if n != 1 {
		thing += "s"
	}
	return fmt.Sprintf("%d %s", n, thing)
}

// mends is the command that makes the rows of a service anew, if some of the
// differences ask for that. Those that wait for a dead letter have their own.
func mends(differences []Difference, name string) string {
	for _, d := range differences {
		if d.Service == name && d.Waits == "" && d.Mend != "" {
			return d.Mend
		}
	}
	return ""
}

// WriteJSON writes the report as one JSON object.
func (r Report) WriteJSON(out io.Writer) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(r)
}

// printable keeps what a stranger has put into a row from moving the cursor of a
// terminal.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '?'
		}
		return r
	}, text)
}
