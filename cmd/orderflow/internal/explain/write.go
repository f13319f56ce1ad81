package explain

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
	"unicode"

	"orderflow/pkg/journey"
)

// Write writes the story for people. Times count from the first line; now is what
// waiting counts to.
func (s Story) Write(out io.Writer, now time.Time) error {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintf(table, "order %s%s\n", s.OrderID, s.headline())
	for _, name := range slices.Sorted(maps.Keys(s.Silent)) {
		fmt.Fprintf(table, "%s %s; what it knows is missing here\n", name, s.Silent[name])
	}
	if len(s.Items) > 0 {
		fmt.Fprintf(table, "\n%s\n", s.Items[0].At.UTC().Format("2006-01-02 15:04:05.000 UTC"))
	}
	for _, item := range s.Items {
		line := []string{after(item.At.Sub(s.Items[0].At)), item.Service, printable(words(item))}
		if took := spans(item.Spans); took != "" {
			line = append(line, took)
		}
		fmt.Fprintln(table, strings.Join(line, "\t"))
	}
	if len(s.Awaited)+len(s.Stuck) > 0 {
		fmt.Fprintf(table, "\nstill to come\n")
	}
	for _, a := range s.Awaited {
		what := "somebody to do their part"
		if a.Doing == journey.Travelling {
			what = "to receive " + a.Type + " " + a.ID
		}
		fmt.Fprintf(table, "\t%s\t%s\twaits since %s\n", a.Service, printable(what), duration(now.Sub(a.Since)))
	}
	for _, stuck := range s.Stuck {
		fmt.Fprintf(table, "\t%s\t%s\t%s\n", stuck.Service, printable(stuck.words(now)), stuck.Mend)
	}
	if len(s.Spent) > 0 {
		fmt.Fprintf(table, "\nof %s: %s\n", duration(s.took()), strings.Join(s.spent(), ", "))
	}
	return table.Flush()
}

// WriteJSON writes the story as one JSON object.
func (s Story) WriteJSON(out io.Writer) error {
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(s)
}

func (s Story) headline() string {
	if s.Status == "" {
		return ""
	}
	return fmt.Sprintf(": %s, %s, version %d", s.Status, s.Total, s.Version)
}

// words say what happened.
func words(item journey.Item) string {
	sequence := ""
	if item.Sequence != nil {
		sequence = fmt.Sprint(*item.Sequence)
	}
	switch item.Kind {
	case "http":
		return item.Type + " " + item.ID
	case "appended":
		return fmt.Sprintf("committed %s %s, revision %s, position %d", item.Type, item.ID, sequence, item.Position)
	case "published":
		return fmt.Sprintf("published %s %s, sequence %s", item.Type, item.ID, sequence)
	case "received":
		return fmt.Sprintf("received %s %s, attempt %d", item.Type, item.ID, max(item.Attempts, 1))
	case "held", "parked":
		return fmt.Sprintf("%s %s %s after %d attempts: %s", item.Kind, item.Type, item.ID, item.Attempts, firstLine(item.Detail))
	case "wrote":
		return fmt.Sprintf("row %s: %s", item.Type, item.Detail)
	case "mailed":
		return fmt.Sprintf("mail %s %s: %s", item.Type, item.ID, item.Detail)
	default: // pending, discarded
		return strings.TrimSpace(fmt.Sprintf("%s %s %s %s", item.Kind, item.Type, item.ID, firstLine(item.Detail)))
	}
}

func (s Stuck) words(now time.Time) string {
	text := fmt.Sprintf("%s is %s since %s", s.Type, s.Status, duration(now.Sub(s.Since)))
	switch {
	case s.Status == "parked":
		text += ", until a person decides"
	case s.DueAt.After(now):
		text += ", tried again by itself in " + duration(s.DueAt.Sub(now))
	default:
		text += ", about to be tried again by itself, or behind an earlier one"
	}
	if s.Reason != "" {
		text += ": " + firstLine(s.Reason)
	}
	return text
}

// doing are what goes on, waiting first, with the words for it.
func doing() [][2]string {
	return [][2]string{
		{journey.Person, "waiting for a person"},
		{journey.Queued, "waiting in the queue"},
		{journey.Unsent, "waiting to be sent"},
		{journey.Held, "held and tried again"},
		{journey.Working, "working"},
	}
}

func spans(all []journey.Span) string {
	var parts []string
	for _, span := range all {
		for _, word := range doing() {
			if word[0] == span.Doing && span.Ms >= 0.05 { // what took no time is not worth a word
				parts = append(parts, word[1]+" "+duration(milliseconds(span.Ms)))
			}
		}
	}
	return strings.Join(parts, ", ")
}

func (s Story) spent() []string {
	var parts []string
	for _, word := range doing() {
		if ms, some := s.Spent[word[0]]; some {
			parts = append(parts, word[1]+" "+duration(milliseconds(ms)))
		}
	}
	return parts
}

// took is the time from the first line to the last.
func (s Story) took() time.Duration {
	last := s.Items[0].At
	for _, item := range s.Items {
		if item.At.After(last) {
			last = item.At
		}
	}
	return last.Sub(s.Items[0].At)
}

func milliseconds(ms float64) time.Duration { return time.Duration(ms * float64(time.Millisecond)) }

// after is a time on the story's own clock.
func after(d time.Duration) string { return fmt.Sprintf("%+.3f s", d.Seconds()) }

// duration is short: three digits are enough to compare.
func duration(d time.Duration) string {
	switch d = max(d, 0); {
	case d < time.Second:
		return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
	case d < time.Minute:
		return fmt.Sprintf("%.1f s", d.Seconds())
	default:
		return d.Round(time.Second).String()
	}
}

func firstLine(text string) string {
	line, _, _ := strings.Cut(strings.TrimSpace(text), "\n")
	return line
}

// printable keeps what a stranger has put into an event from moving the cursor of
// a terminal, or the columns of the table.
func printable(text string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return '?'
		}
		return r
	}, text)
}
