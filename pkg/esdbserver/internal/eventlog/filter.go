package eventlog

import (
	"regexp"
	"strings"
)

// Filter selects events of the whole log by stream name or event type: one of some prefixes, or a regular expression.
// The nil filter selects everything.
type Filter struct {
	ByType   bool // by stream name otherwise
	Prefixes []string
	Pattern  *regexp.Regexp // instead of prefixes
}

// Matches reports whether an event is selected. Links are judged by themselves, not by what they point to.
func (f *Filter) Matches(e *Event) bool {
	if f == nil {
		return true
	}
	subject := e.Stream
	if f.ByType {
		subject = e.Type
	}
	if f.Pattern != nil {
		return f.Pattern.MatchString(subject)
	}
	for _, prefix := range f.Prefixes {
		if strings.HasPrefix(subject, prefix) {
			return true
		}
	}
	return false
}

// HiddenFromAll reports whether an event is the server's own bookkeeping, which $all does not show.
func HiddenFromAll(e *Event) bool {
	const persistentToAll = "$persistentsubscription-$all::"
	if e.Type == "$epoch-information" {
		return true
	}
	return strings.HasPrefix(e.Stream, persistentToAll) &&
		(strings.HasSuffix(e.Stream, "-checkpoint") || strings.HasSuffix(e.Stream, "-parked"))
}
