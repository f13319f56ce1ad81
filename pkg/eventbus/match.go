package eventbus

import (
	"errors"
	"fmt"
	"strings"
)

// ErrInvalidPattern says that a pattern could never be bound.
var ErrInvalidPattern = errors.New("invalid pattern")

// Match reports whether an event type matches a pattern, as an AMQP 0-9-1 topic
// exchange decides it: both are words separated by dots, * stands for exactly
// one word and # for none or more. Letters are compared exactly.
//
// It needs no memory and is safe for any input; see [ValidatePattern] for what
// a sensible pattern is.
func Match(pattern, typ string) bool {
	p, t := firstWord(pattern), firstWord(typ)
	// After a # every later failure is retried from there with one more word
	// swallowed; only the last # ever needs to be retried.
	retryP, retryT := cursor(-1), cursor(-1)
	for t.at(typ) {
		if p.at(pattern) {
			want, nextP := p.word(pattern)
			have, nextT := t.word(typ)
			if want == "#" {
				retryP, retryT = nextP, t
				p = nextP
				continue
			}
			if want == "*" || want == have {
				p, t = nextP, nextT
				continue
			}
		}
		if retryP < 0 {
			return false
		}
		_, retryT = retryT.word(typ)
		p, t = retryP, retryT
	}
	for p.at(pattern) {
		word, next := p.word(pattern)
		if word != "#" {
			return false
		}
		p = next
	}
	return true
}

// cursor is the offset of a word in a dotted name; past the end there is none.
type cursor int

func firstWord(name string) cursor {
	if name == "" {
		return 1 // an empty name has no words, not one empty word
	}
	return 0
}

func (c cursor) at(name string) bool { return int(c) <= len(name) }

func (c cursor) word(name string) (word string, next cursor) {
	rest := name[c:]
	if i := strings.IndexByte(rest, '.'); i >= 0 {
		return rest[:i], c + cursor(i) + 1
	}
	return rest, cursor(len(name)) + 1
}

// ValidatePattern reports, wrapped in [ErrInvalidPattern], why a pattern cannot
// select anything sensible: it is empty or longer than AMQP allows, has an
// empty word, or uses * or # as part of a word, where they would be letters.
func ValidatePattern(pattern string) error {
	if pattern == "" {
		return fmt.Errorf("%w: empty", ErrInvalidPattern)
	}
	if len(pattern) > maxShortString {
		return fmt.Errorf("%w: %.40q... is longer than %d bytes", ErrInvalidPattern, pattern, maxShortString)
	}
	if problem := textProblem(pattern); problem != "" {
		return fmt.Errorf("%w: %q %s", ErrInvalidPattern, pattern, problem)
	}
	for word := range strings.SplitSeq(pattern, ".") {
		if word == "" {
			return fmt.Errorf("%w: %q has an empty word", ErrInvalidPattern, pattern)
		}
		if len(word) > 1 && strings.ContainsAny(word, "*#") {
			return fmt.Errorf("%w: %q uses a wildcard inside the word %q", ErrInvalidPattern, pattern, word)
		}
	}
	return nil
}

// Reaches reports whether a pattern can match events, commands, or both, so
// that a bus which keeps the two apart binds no more than it must. It errs on
// the side of true, which only costs a binding that never matches.
func Reaches(pattern string) (events, commands bool) {
	words := strings.Split(pattern, ".")
	if words[0] == "#" || len(words) < 2 {
		return true, true
	}
	switch second := words[1]; {
	case second == "*" || second == "#":
		return true, true
	case second != "commands":
		return true, false
	default:
		// service.commands alone is two words, and so no command.
		return len(words) < 3 || words[2] == "#", true
	}
}
