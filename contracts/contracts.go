package contracts

import (
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"strings"
)

//go:embed *.schema.json samples readers.json retired.json
var files embed.FS

const suffix = ".schema.json"

// envelope is the name of the schema that is no event's.
const envelope = "envelope"

// ErrUnknown says that there is no contract of that name.
var ErrUnknown = errors.New("no such contract")

// Types lists the types of all integration events, sorted.
func Types() []string {
	names, err := fs.Glob(files, "*"+suffix)
	if err != nil {
		panic(err) // the pattern is a constant
	}
	types := make([]string, 0, len(names))
	for _, name := range names {
		if typ := strings.TrimSuffix(name, suffix); typ != envelope {
			types = append(types, typ)
		}
	}
	return types
}

// Schema returns the JSON Schema (draft 2020-12) that the data of events of a
// type satisfies, or [ErrUnknown].
func Schema(typ string) ([]byte, error) {
	if typ == envelope {
		return nil, fmt.Errorf("%w: %q", ErrUnknown, typ)
	}
	return read(typ)
}

// Envelope returns the JSON Schema of the envelope in structured mode.
func Envelope() ([]byte, error) { return read(envelope) }

func read(name string) ([]byte, error) {
	text, err := files.ReadFile(name + suffix)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return nil, fmt.Errorf("%w: %q", ErrUnknown, name)
	}
	return text, err
}

// Source returns the source that events of a type carry. Only one publishes a
// type: the service whose name it starts with, unless the keyword x-source of the
// schema names another source, as for a command, which is sent to the service
// that it is named after.
func Source(typ string) string {
	service, _, _ := strings.Cut(typ, ".")
	var schema struct {
		Source string `json:"x-source"`
	}
	if text, err := Schema(typ); err == nil && json.Unmarshal(text, &schema) == nil && schema.Source != "" {
		return schema.Source
	}
	return "/orderflow/" + service
}

// Subject returns the name of the field of the data that is the subject of the
// events of a type, as the keyword x-subject of its schema has it.
func Subject(typ string) (string, error) {
	text, err := Schema(typ)
	if err != nil {
		return "", err
	}
	var schema struct {
		Subject string `json:"x-subject"`
	}
	if err := json.Unmarshal(text, &schema); err != nil {
		return "", fmt.Errorf("read contract %s: %w", typ, err)
	}
	return schema.Subject, nil
}

// Samples returns the samples of a type by their name: events in structured
// CloudEvents JSON, as any consumer of the type must be able to read them. They
// show fields that may be absent, absent and present; text in many scripts; and
// fields that a later version of the contract might add.
func Samples(typ string) (map[string][]byte, error) {
	if _, err := Schema(typ); err != nil {
		return nil, err
	}
	folder := path.Join("samples", typ)
	entries, err := files.ReadDir(folder)
	if err != nil {
		return nil, fmt.Errorf("samples of %s: %w", typ, err)
	}
	samples := make(map[string][]byte, len(entries))
	for _, entry := range entries {
		text, err := files.ReadFile(path.Join(folder, entry.Name()))
		if err != nil {
			return nil, fmt.Errorf("samples of %s: %w", typ, err)
		}
		samples[strings.TrimSuffix(entry.Name(), ".json")] = text
	}
	return samples, nil
}

// Readers lists the services that read events of a type, as readers.json has it;
// none when nobody does, or when there is no such type.
func Readers(typ string) []string {
	var readers map[string][]string
	list("readers.json", &readers)
	return readers[typ]
}

// Retired reports whether a type is no longer published, as retired.json has it,
// which says for each such type since which day nobody reads it. Its schema and
// samples stay: events of it are in backups, exports and queues.
func Retired(typ string) bool {
	var since map[string]string
	list("retired.json", &since)
	_, ok := since[typ]
	return ok
}

// list reads an embedded list.
func list(name string, into any) {
	text, err := files.ReadFile(name)
	if err == nil {
		err = json.Unmarshal(text, into)
	}
	if err != nil {
		panic(fmt.Errorf("%s: %w", name, err)) // a test would have found it
	}
}
