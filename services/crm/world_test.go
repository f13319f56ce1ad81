package crm_test

import (
	"testing"

	"go.uber.org/goleak"

	"orderflow/pkg/service/servicetest"
	"orderflow/pkg/sqldb/sqldbtest"
	"orderflow/services/crm"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is the service with the bus that it listens on.
type world struct {
	*servicetest.Service
	t *testing.T
}

func newWorld(t *testing.T) *world {
	t.Helper()
	return &world{servicetest.New(t, crm.Run, sqldbtest.SQLiteURL(t)), t}
}

// hears is what another service says to this one.
func (w *world) hears(typ, subject string, sequence int64, data map[string]any) {
	w.t.Helper()
	w.Publish(servicetest.Event(typ, subject, sequence, data))
}
