package esdbserver_test

import (
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"orderflow/pkg/esdbserver/esdbservertest"
	"orderflow/pkg/esdbserver/protocoltest"
)

// A script is a handful of writes in words, see protocoltest.Script, to a store of its own.
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

func (s *script) script() *protocoltest.Script {
	words := protocoltest.NewScript(s.t, s.client, "")
	words.Restart = func() {
		s.store.Stop()
		s.store.Start()
		s.client = s.store.Client(s.t)
	}
	return words
}

func (s *script) do(line string) string        { return s.script().Do(line) }
func (s *script) content(stream string) string { return s.script().Content(stream) }

func (s *script) append(stream, expected string, events ...esdb.EventData) string {
	return s.script().Append(stream, expected, events...)
}

func event(word string) esdb.EventData         { return protocoltest.Event(word) }
func outcome(success string, err error) string { return protocoltest.Outcome(success, err) }

func expectation(t testing.TB, text string) esdb.ExpectedRevision {
	t.Helper()
	return protocoltest.Expectation(t, text)
}
