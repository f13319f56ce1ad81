package customer_test

import (
	"net/http"
	"testing"

	"go.uber.org/goleak"

	"orderflow/pkg/esdbserver/esdbservertest"
	"orderflow/pkg/service/servicetest"
	"orderflow/pkg/sqldb/sqldbtest"
	"orderflow/services/customer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m, esdbservertest.ClientLeaks()...) }

// world is the customer service with an event store of its own. The tests speak
// HTTP with it, and hear what it says on the bus.
type world struct {
	*servicetest.Service
	t     *testing.T
	store *esdbservertest.Server
	dir   string // where the event store keeps its files
	// database is the URL of the service's database.
	database string
}

// start runs the service until the test ends, and waits until it is ready.
func start(t *testing.T) *world {
	t.Helper()
	t.Parallel()
	database := sqldbtest.SQLiteURL(t)
	w := &world{servicetest.New(t, customer.Run, database, "customer.events.#"), t, nil, t.TempDir(), database}
	w.store = w.WithEventStore(esdbservertest.InDir(w.dir))
	w.Start()
	return w
}

type fields = map[string]any

func ann() fields {
	return fields{"name": "Ann Doe", "email": "ann@example.com", "address": delft()}
}

func delft() fields {
	return fields{"line1": "Marktweg 17", "city": "Delft", "postcode": "2611 GP", "country": "NL"}
}

// registered is a customer who has just been registered.
func (w *world) registered() string {
	w.t.Helper()
	return w.Call("POST", "/customers", ann()).Want(http.StatusCreated).Text("customerId")
}
