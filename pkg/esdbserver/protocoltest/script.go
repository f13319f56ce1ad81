package protocoltest

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"github.com/google/uuid"
)

// Script carries out a handful of writes to the stream "s", in words. Events are single words: equal words have equal ids,
// and the word is the event's type too.
//
//	append any: a b          expecting any, none, exists or a revision
//	append to $$s any: m
//	metadata {"$maxCount":2}
//	delete any
//	tombstone 3
//	restart
type Script struct {
	// Client is the connection that the script works with.
	Client *esdb.Client
	// Prefix comes before the name of every stream.
	Prefix string
	// Restart carries out the line "restart", and connects Client again. nil where that cannot be done.
	Restart func()

	t testing.TB
}

// NewScript makes a script for a test.
func NewScript(t testing.TB, client *esdb.Client, prefix string) *Script {
	return &Script{Client: client, Prefix: prefix, t: t}
}

// Stream is the full name of a stream: "s" may be "x-s", and "$$s" is then "$$x-s".
func (s *Script) Stream(name string) string {
	if of, isMetadata := strings.CutPrefix(name, "$$"); isMetadata {
		return "$$" + s.Prefix + of
	}
	return s.Prefix + name
}

// Do carries out one line and returns its outcome in words: "revision 1", "wrong version", "stream deleted", ...
func (s *Script) Do(line string) string {
	s.t.Helper()
	verb, rest, _ := strings.Cut(line, " ")
	switch verb {
	case "append":
		stream := "s"
		if to, found := strings.CutPrefix(rest, "to "); found {
			stream, rest, _ = strings.Cut(to, " ")
		}
		expected, words, found := strings.Cut(rest, ":")
		if !found {
			s.t.Fatalf("no events in %q", line)
		}
		var events []esdb.EventData
		for _, word := range strings.Fields(words) {
			events = append(events, Event(word))
		}
		return s.Append(stream, expected, events...)
	case "metadata":
		return s.Append("$$s", "any", esdb.EventData{EventType: "$metadata", ContentType: esdb.ContentTypeJson, Data: []byte(rest)})
	case "delete":
		_, err := s.Client.DeleteStream(context.Background(), s.Stream("s"), esdb.DeleteStreamOptions{ExpectedRevision: Expectation(s.t, rest)})
		return Outcome("deleted", err)
	case "tombstone":
		_, err := s.Client.TombstoneStream(context.Background(), s.Stream("s"), esdb.TombstoneStreamOptions{ExpectedRevision: Expectation(s.t, rest)})
		return Outcome("tombstoned", err)
	case "restart":
		if s.Restart == nil {
			s.t.Fatal("this server cannot be restarted")
		}
		s.Restart()
		return "restarted"
	}
	s.t.Fatalf("no such line: %q", line)
	return ""
}

// Append writes events of any kind, and returns the outcome in words.
func (s *Script) Append(stream, expected string, events ...esdb.EventData) string {
	s.t.Helper()
	written, err := s.Client.AppendToStream(context.Background(), s.Stream(stream),
		esdb.AppendToStreamOptions{ExpectedRevision: Expectation(s.t, expected)}, events...)
	if err != nil {
		return Outcome("", err)
	}
	return fmt.Sprintf("revision %d", written.NextExpectedVersion)
}

// Content is the stream as a reader sees it, in words; "not found" and "stream deleted" are states of their own.
func (s *Script) Content(stream string) string {
	s.t.Helper()
	read, err := s.Client.ReadStream(context.Background(), s.Stream(stream), esdb.ReadStreamOptions{}, math.MaxInt64)
	if err != nil {
		return Outcome("", err)
	}
	events, err := receiveAll(read)
	if err != nil {
		return Outcome("", err)
	}
	var words []string
	for _, e := range events {
		words = append(words, fmt.Sprintf("%d:%s", e.OriginalEvent().EventNumber, e.OriginalEvent().EventType))
	}
	return strings.Join(words, " ")
}

// Event makes the event that a word stands for.
func Event(word string) esdb.EventData {
	return esdb.EventData{
		EventID: uuid.NewSHA1(uuid.NameSpaceOID, []byte(word)), EventType: word,
		ContentType: esdb.ContentTypeJson, Data: []byte(`{"word":"` + word + `"}`), Metadata: []byte(`{"meta":true}`),
	}
}

// Expectation is the expected revision that a script calls any, none, exists or by its number.
func Expectation(t testing.TB, text string) esdb.ExpectedRevision {
	t.Helper()
	switch text {
	case "any":
		return esdb.Any{}
	case "none":
		return esdb.NoStream{}
	case "exists":
		return esdb.StreamExists{}
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("no such expectation: %q", text)
	}
	return esdb.Revision(n)
}

// Outcome puts a result in words that a table can hold.
func Outcome(success string, err error) string {
	if err == nil {
		return success
	}
	var failure *esdb.Error
	if !errors.As(err, &failure) {
		return err.Error()
	}
	switch failure.Code() {
	case esdb.ErrorCodeWrongExpectedVersion:
		return "wrong version"
	case esdb.ErrorCodeStreamDeleted:
		return "stream deleted"
	case esdb.ErrorCodeResourceNotFound:
		return "not found"
	}
	if strings.Contains(err.Error(), "WrongExpectedVersion") {
		return "wrong version" // a delete's: the client has no code for it
	}
	return err.Error()
}
