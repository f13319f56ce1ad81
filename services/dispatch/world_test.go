package dispatch_test

import (
	"testing"

	"go.uber.org/goleak"

	"orderflow/pkg/service/servicetest"
	"orderflow/services/dispatch"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is the service with a bus of its own, on which the test plays
// the other services and hears what this one says.
type world struct {
	*servicetest.Service
	t *testing.T
}

// each runs fn on SQLite, and on PostgreSQL where one answers.
func each(t *testing.T, fn func(t *testing.T, w *world)) {
	servicetest.OnBothDatabases(t, func(t *testing.T, database string) { fn(t, newWorld(t, database)) })
}

func newWorld(t *testing.T, database string) *world {
	t.Helper()
	return &world{servicetest.New(t, dispatch.Run, database, "dispatch.events.#"), t}
}
