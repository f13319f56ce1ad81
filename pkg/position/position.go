package position

import (
	"encoding/base64"
	"encoding/json"
	"errors"
	"regexp"
	"strings"

	"orderflow/pkg/eventbus"
)

// ErrMalformed says that a token is none of [Position.String].
var ErrMalformed = errors.New("not a position")

// Position is one announced event, as the CloudEvents attributes tell it.
type Position struct {
	Source  string
	Subject string
	// Name is the event's type without its version, as in order.events.placed:
	// versions of one fact are published side by side, and a consumer reads one.
	Name string
	// Sequence is that of the event, from 0. Sequences are comparable within one
	// source and subject, and not dense.
	Sequence int64
}

// Of returns the position of an event.
func Of(e eventbus.Event) Position {
	return Position{Source: e.Source, Subject: e.Subject, Name: NameOf(e.Type), Sequence: e.Sequence}
}

// version is what ends a type.
var version = regexp.MustCompile(`\.v[0-9]+$`)

// NameOf cuts the version off a type of event.
func NameOf(typ string) string { return version.ReplaceAllString(typ, "") }

// String writes the position as an opaque token: letters, digits, - and _.
func (p Position) String() string {
	text, err := json.Marshal([]any{p.Source, p.Subject, p.Name, p.Sequence})
	if err != nil {
		panic(err) // texts and a number
	}
	return base64.RawURLEncoding.EncodeToString(text)
}

// Parse reads a token. Anything that is none is [ErrMalformed].
func Parse(token string) (Position, error) {
	text, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return Position{}, ErrMalformed
	}
	var p Position
	parts := []any{&p.Source, &p.Subject, &p.Name, &p.Sequence}
	var raw []json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil || len(raw) != len(parts) {
		return Position{}, ErrMalformed
	}
	for i, part := range parts {
		if string(raw[i]) == "null" || json.Unmarshal(raw[i], part) != nil {
			return Position{}, ErrMalformed
		}
	}
	complete := p.Source != "" && p.Subject != "" && p.Name != "" && p.Sequence >= 0
	if !complete || strings.ContainsRune(p.Source+p.Subject+p.Name, 0) { // PostgreSQL's text cannot hold a zero
		return Position{}, ErrMalformed
	}
	return p, nil
}
