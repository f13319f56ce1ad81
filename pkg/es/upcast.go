package es

import (
	"encoding/json"
	"fmt"
)

// Upcaster tells what was written in one version of an event in the terms of a
// later one. It gets the data as it is stored, JSON, and returns the events that
// it means: usually one of the same type and the next version, several where the
// old event was several things at once, none where it means nothing any more.
// They are read in the order in which they are returned.
//
// It is pure: no clock, no database, nothing but the data. The same event is
// upcast at every load, by every projection and by every replay, and must mean
// the same each time. So what an old event does not say cannot be made up here,
// or only as a constant.
//
// Its error, or panic, is an event that cannot be read: whoever loads that
// aggregate is told, a relay parks that event, and nobody else notices.
type Upcaster func(data []byte) ([]Encoded, error)

// UpcastFrom makes an [Upcaster] of a function that takes the old data decoded. T is
// the old version's own struct, which is kept for it and never changed again.
func UpcastFrom[T any](up func(old T) ([]Encoded, error)) Upcaster {
	return func(data []byte) ([]Encoded, error) {
		var old T
		if err := json.Unmarshal(data, &old); err != nil {
			return nil, err
		}
		return up(old)
	}
}

// Schema is a type of event, with a way from each of its versions to the next.
type Schema struct {
	// Type is the name in the store.
	Type string
	// Upcasters begin with the one that reads version 1. So there is one less
	// than there are versions, and none for an event that never changed.
	Upcasters []Upcaster
}

// Newest is the version that is written today.
func (s Schema) Newest() int { return len(s.Upcasters) + 1 }

// Schemas are all types of events of an aggregate, those included that are no
// longer written. Safe for concurrent use while nobody changes them.
//
// The rules. A version, once it was written, never changes, neither what it
// looks like nor what it means, and stays here for ever, with its golden. A
// change is a new version, written from the day on which every process that
// reads the store has its upcaster. An upcaster reads one version and knows
// nothing of those after the next: they are chained, so each is written once.
// Revisions and ids stay those of the stored event, whatever it is split into:
// nothing is ever written back.
type Schemas []Schema

// Check says why a stored event cannot be read here whatever its data is: its
// type or its version is not known, or its metadata could not be read
// ([ErrUnreadable]). [Schemas.Upcast] checks that too; a codec whose data is sealed
// asks before it opens it.
func (s Schemas) Check(r Recorded) error {
	schema, err := s.of(r.Type, r.Metadata.Version)
	if schema.Type != "" && r.Unreadable != nil {
		return fmt.Errorf("%s: %w", r.Type, r.Unreadable)
	}
	return err
}

// of finds the schema of a type. When it knows the type and not the version, it
// returns an error beside it.
func (s Schemas) of(typ string, version int) (Schema, error) {
	for _, schema := range s {
		switch {
		case schema.Type != typ:
		case version > schema.Newest():
			return schema, fmt.Errorf("%s version %d was written by a newer program: this one reads up to version %d", typ, version, schema.Newest())
		case version < 1:
			return schema, fmt.Errorf("%s has version %d in its metadata: they begin with 1", typ, version)
		default:
			return schema, nil
		}
	}
	return Schema{}, fmt.Errorf("unknown event type %q", typ)
}

// Upcast returns what a stored event means in the newest versions. An event in
// its newest version is returned as it is. The data of a sealed event has to be
// opened before.
//
// It fails as [Schemas.Check] does, and when an upcaster fails; the error names
// type and version, and callers add the stream and the revision.
func (s Schemas) Upcast(r Recorded) ([]Encoded, error) {
	if err := s.Check(r); err != nil {
		return nil, err
	}
	steps := 0
	for _, schema := range s {
		steps += len(schema.Upcasters)
	}
	return s.upcast(Encoded{Type: r.Type, Version: r.Metadata.Version, Data: r.Data}, steps)
}

// upcast takes at most so many steps one after the other. There are no more
// upcasters than that, and none has to be taken twice.
func (s Schemas) upcast(e Encoded, steps int) ([]Encoded, error) {
	schema, err := s.of(e.Type, e.Version)
	switch {
	case err != nil:
		return nil, err
	case e.Version == schema.Newest():
		return []Encoded{e}, nil
	case steps == 0:
		return nil, fmt.Errorf("upcast %s from version %d: the upcasters lead round in a circle", e.Type, e.Version)
	}
	meant, err := schema.Upcasters[e.Version-1].run(e.Data)
	if err != nil {
		return nil, fmt.Errorf("upcast %s from version %d: %w", e.Type, e.Version, err)
	}
	var current []Encoded
	for _, next := range meant {
		upcast, err := s.upcast(next, steps-1)
		if err != nil {
			return nil, fmt.Errorf("upcast %s from version %d: %w", e.Type, e.Version, err)
		}
		current = append(current, upcast...)
	}
	return current, nil
}

// run recovers from a panic: an upcaster that did not expect what it met must
// not take down those who only wanted to read on.
func (up Upcaster) run(data []byte) (meant []Encoded, err error) {
	defer func() {
		if p := recover(); p != nil {
			meant, err = nil, fmt.Errorf("panic: %v", p)
		}
	}()
	return up(data)
}
