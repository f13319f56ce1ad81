package esdbserver_test

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

	"orderflow/pkg/esdbserver/esdbservertest"
)

// A script is a handful of writes to the stream "s", in words. Events are single words: equal words have equal ids, and
// the word is the event's type too.
//
//	append any: a b          expecting any, none, exists or a revision
//	append to $$s any: m
//	metadata {"$maxCount":2}
//	delete any
//	tombstone 3
//	restart
type script struct {
	t      testing.TB
	store  *esdbservertest.Server
	client *esdb.Client
}

func newScript(t testing.TB, options ...esdbservertest.Option) *script {
	t.Helper()
	store := esdbservertest.New(t, options...)
	return &script{t: t, store: store, client: store.Client(t)}
}

// do runs one line and returns its outcome in words: "revision 1", "wrong version", "stream deleted", ...
func (s *script) do(line string) string {
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
			events = append(events, event(word))
		}
		return s.append(stream, expected, events...)
	case "metadata":
		return s.append("$$s", "any", esdb.EventData{EventType: "$metadata", ContentType: esdb.ContentTypeJson, Data: []byte(rest)})
	case "delete":
		_, err := s.client.DeleteStream(context.Background(), "s", esdb.DeleteStreamOptions{ExpectedRevision: expectation(s.t, rest)})
		return outcome("deleted", err)
	case "tombstone":
		_, err := s.client.TombstoneStream(context.Background(), "s", esdb.TombstoneStreamOptions{ExpectedRevision: expectation(s.t, rest)})
		return outcome("tombstoned", err)
	case "restart":
		s.store.Stop()
		s.store.Start()
		s.client = s.store.Client(s.t)
		return "restarted"
	}
	s.t.Fatalf("no such line: %q", line)
	return ""
}

func (s *script) append(stream, expected string, events ...esdb.EventData) string {
	s.t.Helper()
	written, err := s.client.AppendToStream(context.Background(), stream,
		esdb.AppendToStreamOptions{ExpectedRevision: expectation(s.t, expected)}, events...)
	if err != nil {
		return outcome("", err)
	}
	return fmt.Sprintf("revision %d", written.NextExpectedVersion)
}

// content is the stream as a reader sees it, in words; "not found" and "stream deleted" are states of their own.
func (s *script) content(stream string) string {
	s.t.Helper()
	read, err := s.client.ReadStream(context.Background(), stream, esdb.ReadStreamOptions{}, math.MaxInt64)
	if err != nil {
		return outcome("", err)
	}
	events, err := receiveAll(read)
	if err != nil {
		return outcome("", err)
	}
	var words []string
	for _, e := range events {
		words = append(words, fmt.Sprintf("%d:%s", e.OriginalEvent().EventNumber, e.OriginalEvent().EventType))
	}
	return strings.Join(words, " ")
}

// event makes the event that a word stands for.
func event(word string) esdb.EventData {
	return esdb.EventData{
		EventID: uuid.NewSHA1(uuid.NameSpaceOID, []byte(word)), EventType: word,
		ContentType: esdb.ContentTypeJson, Data: []byte(`{"word":"` + word + `"}`), Metadata: []byte(`{"meta":true}`),
	}
}

func expectation(t testing.TB, text string) esdb.ExpectedRevision {
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

// outcome puts a result in words that a table can hold.
func outcome(success string, err error) string {
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
