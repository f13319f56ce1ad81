package protocoltest

import (
	"testing"
	"time"
)

// Server is one that the suite asks.
type Server struct {
	// ConnectionString is what the official client is given, with credentials if the server wants them.
	ConnectionString string
	// Ours says that this is package esdbserver: rules that the original answers differently are asked too.
	Ours bool
	// Restart stops the server and starts it again on the same events and the same address. nil when that cannot be done.
	Restart func()
	// SetClock sets the time that the server stamps events with and ages them by. nil when that cannot be done.
	SetClock func(time.Time)
}

// Run asks every rule. start is called once for each, and may return the same server each time.
func Run(t *testing.T, start func(t *testing.T) Server) {
	for _, chapter := range [...]struct {
		name  string
		rules []rule
	}{
		{"Appending", written(appending[:])},
		{"Appending the same again", written(repeating[:])},
		{"Appending nothing", written(appendingNothing[:])},
		{"Deleting", written(deleting[:])},
		{"Tombstones", written(tombstones[:])},
		{"Metadata", append(written(hiding[:]), aboutMetadata()...)},
		{"Events", aboutEvents()},
		{"Reading a stream", append(streamReads(), links()...)},
		{"Reading all", aboutAll()},
		{"Subscribing to a stream", streamSubscriptions()},
		{"Subscribing to all", allSubscriptions()},
		{"Forms", aboutForms()},
		{"Ends", aboutEnds()},
		{"Errors", aboutErrors()},
	} {
		t.Run(chapter.name, func(t *testing.T) {
			for _, r := range chapter.rules {
				t.Run(r.name, func(t *testing.T) {
					t.Parallel()
					server := start(t)
					if r.differs != "" && !server.Ours {
						t.Skip("the original differs: " + r.differs)
					}
					r.ask(t, server)
				})
			}
		})
	}
}

// rule is one fact about the protocol.
type rule struct {
	name string
	// differs says how the original answers instead, where the rule is one of package esdbserver alone.
	differs string
	ask     func(t *testing.T, server Server)
}
