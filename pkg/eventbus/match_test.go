package eventbus_test

import (
	"errors"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"orderflow/pkg/eventbus"
)

func TestMatchFollowsAMQPTopics(t *testing.T) {
	for _, c := range []struct {
		pattern, typ string
		want         bool
	}{
		{"order.events.placed.v1", "order.events.placed.v1", true},
		{"order.events.placed.v1", "order.events.placed.v2", false},
		{"order.events.placed", "order.events.placed.v1", false},
		{"order.events.placed.v1", "order.events.placed", false},
		{"order.*.placed.v1", "order.events.placed.v1", true},
		{"order.*", "order.events.placed", false},
		{"*.*.*.*", "order.events.placed.v1", true},
		{"#", "order.events.placed.v1", true},
		{"#", "", true},
		{"*", "", false},
		{"order.#", "order", true}, // # stands for no word, too
		{"order.#", "orders.placed", false},
		{"#.v1", "order.events.placed.v1", true},
		{"#.v1", "v1", true},
		{"#.placed.#", "order.events.placed.v1", true},
		{"#.placed.#", "order.events.packed.v1", false},
		{"#.a.#.b", "a.x.a.b", true},
		{"#.a.#.b", "a.x.b.c", false},
		{"#.*", "", false},
		{"#.#", "", true},
		{"*.#.*", "a.b", true},
		{"*.#.*", "a", false},
		{"a.*.#", "a.b", true},
		{"#.a.b", "a.a.b", true},
		{"Order.#", "order.placed", false},
	} {
		if got := eventbus.Match(c.pattern, c.typ); got != c.want {
			t.Errorf("Match(%q, %q) = %v, want %v", c.pattern, c.typ, got, c.want)
		}
	}
}

// naive is the definition, word by word.
func naive(pattern, typ []string) bool {
	if len(pattern) == 0 {
		return len(typ) == 0
	}
	if pattern[0] == "#" {
		return naive(pattern[1:], typ) || len(typ) > 0 && naive(pattern, typ[1:])
	}
	return len(typ) > 0 && (pattern[0] == "*" || pattern[0] == typ[0]) && naive(pattern[1:], typ[1:])
}

func words(alphabet ...string) *rapid.Generator[[]string] {
	return rapid.SliceOfN(rapid.SampledFrom(alphabet), 1, 7)
}

func TestMatchAgreesWithItsDefinition(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := words("a", "b", "*", "#").Draw(t, "pattern")
		typ := words("a", "b", "c").Draw(t, "type")
		got := eventbus.Match(strings.Join(pattern, "."), strings.Join(typ, "."))
		if want := naive(pattern, typ); got != want {
			t.Fatalf("Match(%q, %q) = %v, want %v", pattern, typ, got, want)
		}
	})
}

// A pattern that matches a command must be bound where commands are published,
// and one that matches an event where events are.
func TestReachesNeverDeniesWhatMatches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		pattern := strings.Join(words("order", "commands", "events", "*", "#").Draw(t, "pattern"), ".")
		typ := strings.Join(words("order", "commands", "events").Draw(t, "type"), ".")
		events, commands := eventbus.Reaches(pattern)
		if !eventbus.Match(pattern, typ) {
			return
		}
		if command := (eventbus.Event{Type: typ}).IsCommand(); command && !commands || !command && !events {
			t.Fatalf("%q matches %q, but reaches events %v, commands %v", pattern, typ, events, commands)
		}
	})
}

func TestReachesKeepsEventsAndCommandsApart(t *testing.T) {
	for pattern, want := range map[string][2]bool{
		"order.events.#":        {true, false},
		"order.commands.#":      {true, true}, // order.commands alone would be an event
		"order.commands.*.v1":   {false, true},
		"order.commands.cancel": {false, true},
		"#":                     {true, true},
		"order":                 {true, true},
		"order.#":               {true, true},
		"*.*.placed.v1":         {true, true},
	} {
		if events, commands := eventbus.Reaches(pattern); [2]bool{events, commands} != want {
			t.Errorf("Reaches(%q) = %v, %v, want %v", pattern, events, commands, want)
		}
	}
}

func TestPatternsThatCannotSelectAreRefused(t *testing.T) {
	for _, pattern := range []string{
		"", ".", "a.", ".a", "a..b", "a.b*", "#a", "a.**", "a.\n", "\xff", strings.Repeat("a", 256),
	} {
		if err := eventbus.ValidatePattern(pattern); !errors.Is(err, eventbus.ErrInvalidPattern) {
			t.Errorf("%q: got %v, want ErrInvalidPattern", pattern, err)
		}
	}
	for _, pattern := range []string{"#", "*", "order.events.placed.v1", "*.events.#", "order.#.v1"} {
		if err := eventbus.ValidatePattern(pattern); err != nil {
			t.Errorf("%q: %v", pattern, err)
		}
	}
}
