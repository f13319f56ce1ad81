package deadletters

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"
	"time"
)

// longestReason is how much of a reason a table shows, in characters: room for what wraps the cause, which comes last,
// and names the event once more.
const longestReason = 240

// WriteTable lists letters, one line each; now is what their age counts from.
func WriteTable(out io.Writer, letters []Letter, now time.Time) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "SERVICE\tBOX\tID\tTYPE\tSUBJECT\tATTEMPTS\tSTATUS\tAGE\tREASON")
	for _, letter := range letters {
		typ, subject := letter.About()
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%d\t%s\t%s\t%s\n", letter.Service, letter.Box, letter.ID, printable(typ), printable(subject),
			letter.Attempts, letter.Status, age(now.Sub(letter.ReceivedAt)), shortReason(letter))
	}
	return table.Flush()
}

// WriteJSON writes letters as a person or a program reads them, one JSON object each, the event included.
func WriteJSON(out io.Writer, letters []Letter, indent string) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", indent)
	for _, letter := range letters {
		if err := encoder.Encode(letter); err != nil {
			return fmt.Errorf("write %s: %w", letter.ID, err)
		}
	}
	return nil
}

// Line names a letter within a sentence.
func Line(letter Letter) string {
	typ, subject := letter.About()
	return fmt.Sprintf("%s %s %s %s of %s", letter.Service, letter.Box, letter.ID, printable(typ), printable(subject))
}

// shortReason is the first line of a reason; one that waits behind another has none of its own.
func shortReason(letter Letter) string {
	line, _, _ := strings.Cut(strings.TrimSpace(letter.Reason), "\n")
	if line == "" && letter.Status == "held" && letter.Attempts == 0 {
		return "waits behind an earlier one of its subject"
	}
	if short := []rune(line); len(short) > longestReason {
		line = string(short[:longestReason]) + "..."
	}
	return printable(line)
}

// printable keeps what a stranger has put into an event from moving the cursor of a terminal, or the columns of a table.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return '?'
		}
		return r
	}, text)
}

// age is a duration in its largest unit.
func age(d time.Duration) string {
	switch {
	case d < time.Minute:
		return fmt.Sprintf("%ds", int(max(d, 0).Seconds()))
	case d < time.Hour:
		return fmt.Sprintf("%dm", int(d.Minutes()))
	case d < 48*time.Hour:
		return fmt.Sprintf("%dh", int(d.Hours()))
	default:
		return fmt.Sprintf("%dd", int(d.Hours())/24)
	}
}
