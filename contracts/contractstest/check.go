package contractstest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"orderflow/contracts"
	"orderflow/pkg/eventbus"
)

// Valid marks the test as failed when the event does not keep its contract, and
// says why. See [Check].
func Valid(t testing.TB, e eventbus.Event) {
	t.Helper()
	if err := Check(e); err != nil {
		t.Errorf("event %s of type %s breaks its contract:\n%v\ndata: %s", e.ID, e.Type, err, e.Data)
	}
}

// Check returns everything in which the event differs from its contract, joined:
// its type must be known, envelope and data must satisfy their schemas, the
// source must be the service that owns the type, the subject the field of the
// data that the contract names, and the time the occurredAt of the data.
func Check(e eventbus.Event) error {
	data, err := contracts.Schema(e.Type)
	if err != nil {
		return err
	}
	envelope, err := contracts.Envelope()
	if err != nil {
		return err
	}
	whole, err := json.Marshal(e)
	if err != nil {
		return err
	}
	return errors.Join(
		e.Validate(),
		against(e.Type, data, e.Data, "data"),
		against("envelope", envelope, whole, "envelope"),
		agreement(e),
	)
}

// against validates a JSON text. Formats, which JSON Schema leaves to the
// validator, are insisted on.
func against(name string, schema, text []byte, what string) error {
	compiled, err := compile(name, schema)
	if err != nil {
		return err
	}
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	if err := compiled.Validate(value); err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

func compile(name string, schema []byte) (*jsonschema.Schema, error) {
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(schema))
	if err != nil {
		return nil, fmt.Errorf("read schema %s: %w", name, err)
	}
	id := "urn:orderflow:contract:" + name
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource(id, document); err != nil {
		return nil, fmt.Errorf("read schema %s: %w", name, err)
	}
	compiled, err := compiler.Compile(id)
	if err != nil {
		return nil, fmt.Errorf("compile schema %s: %w", name, err)
	}
	return compiled, nil
}

// agreement checks what no schema can say: where envelope and data tell the
// same thing they tell it alike.
func agreement(e eventbus.Event) error {
	var wrong []error
	if source := contracts.Source(e.Type); e.Source != source {
		wrong = append(wrong, fmt.Errorf("source is %q, want %q", e.Source, source))
	}
	field, err := contracts.Subject(e.Type)
	if err != nil {
		return err
	}
	var data map[string]any
	if err := json.Unmarshal(e.Data, &data); err != nil {
		return errors.Join(append(wrong, fmt.Errorf("data: %w", err))...)
	}
	if subject := data[field]; subject != e.Subject {
		wrong = append(wrong, fmt.Errorf("subject is %q, want the %s %q", e.Subject, field, subject))
	}
	occurred, _ := data["occurredAt"].(string)
	if at, err := time.Parse(time.RFC3339Nano, occurred); err != nil || !at.Equal(e.Time) {
		wrong = append(wrong, fmt.Errorf("time is %s, want the occurredAt %q", eventbus.FormatTime(e.Time), occurred))
	}
	return errors.Join(wrong...)
}

// Reads returns the samples of all types that a service reads, and marks the test
// as failed when those are not the types that the contracts list it as a reader
// of. patterns are what the service subscribes to.
func Reads(t testing.TB, service string, patterns []string) []eventbus.Event {
	t.Helper()
	var samples []eventbus.Event
	for _, typ := range contracts.Types() {
		listed, read := slices.Contains(contracts.Readers(typ), service), slices.Contains(patterns, typ)
		switch {
		case listed && !read:
			t.Errorf("%s is listed as a reader of %s, and has no handler for it", service, typ)
		case read && !listed:
			t.Errorf("%s has a handler for %s, and is not listed as a reader of it in contracts/readers.json", service, typ)
		case read:
			samples = append(samples, Samples(t, typ)...)
		}
	}
	for _, pattern := range patterns {
		if !slices.Contains(contracts.Types(), pattern) {
			t.Errorf("%s has a handler for %s, which has no contract", service, pattern)
		}
	}
	return samples
}

// Publishes marks the test as failed when an event breaks its contract, and when
// the events are not one or more of each type that a source has to publish: all
// that the contracts say it does, and are not retired. A type that somebody reads
// is never retired (make contracts-check).
func Publishes(t testing.TB, source string, events []eventbus.Event) {
	t.Helper()
	var published []string
	for _, e := range events {
		Valid(t, e)
		published = append(published, e.Type)
	}
	for _, fault := range publishing(source, published, contracts.Retired) {
		t.Error(fault)
	}
}

func publishing(source string, published []string, retired func(typ string) bool) (faults []string) {
	for _, typ := range contracts.Types() {
		said := slices.Contains(published, typ)
		switch {
		case contracts.Source(typ) != source: // somebody else's; an event of it is not valid
		case retired(typ) && said:
			faults = append(faults, fmt.Sprintf("%s is retired, and %s publishes it", typ, source))
		case !retired(typ) && !said && len(contracts.Readers(typ)) > 0:
			faults = append(faults, fmt.Sprintf("%s no longer publishes %s, which %s still reads: first every reader leaves (docs/versions.md, When v1 may be retired)",
				source, typ, strings.Join(contracts.Readers(typ), ", ")))
		case !retired(typ) && !said:
			faults = append(faults, fmt.Sprintf("%s does not publish %s, which contracts/retired.json does not say is retired", source, typ))
		}
	}
	return faults
}

// Samples returns the samples of a type, in the order of their names. It ends
// the test when there are none.
func Samples(t testing.TB, typ string) []eventbus.Event {
	t.Helper()
	samples, err := contracts.Samples(typ)
	if err != nil {
		t.Fatal(err)
	}
	events := make([]eventbus.Event, 0, len(samples))
	for _, name := range slices.Sorted(maps.Keys(samples)) {
		var event eventbus.Event
		if err := json.Unmarshal(samples[name], &event); err != nil {
			t.Fatalf("sample %s of %s: %v", name, typ, err)
		}
		events = append(events, event)
	}
	if len(events) == 0 {
		t.Fatalf("no samples of %s", typ)
	}
	return events
}
