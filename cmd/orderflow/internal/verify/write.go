package verify

import (
	"encoding/json"
	"fmt"
	"io"
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
	fmt.Fprintf(text, "%d orders, %d customers and %d products (%d events), %d announcements\n",
		r.Orders, r.Customers, r.Products, r.Events, r.Announcements)
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
		fmt.Fprintf(text, "everything that is older than %s is shown everywhere, once, as it was committed\n", lag)
	}
	_, err := io.WriteString(out, text.String())
	return err
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
