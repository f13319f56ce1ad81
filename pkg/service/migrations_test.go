package service_test

import (
	"net/http"
	"testing"
	"testing/fstest"

	"orderflow/pkg/sqldb/sqldbtest"
)

// migrations are a service's own.
var migrations = fstest.MapFS{
	"migrations/sqlite/00001_thing.sql":   {Data: []byte("-- +goose Up\nCREATE TABLE thing (id TEXT PRIMARY KEY);\n")},
	"migrations/postgres/00001_thing.sql": {Data: []byte("-- +goose Up\nCREATE TABLE thing (id TEXT PRIMARY KEY);\n")},
}

func TestADatabaseIsMigratedBeforeTheServiceIsReady(t *testing.T) {
	o := newOperated(t)
	for _, table := range []string{"thing", "inbox", "outbox", "relay_checkpoint"} {
		sqldbtest.Count(t, o.db, `SELECT count(*) FROM `+table)
	}
	if o.try(http.MethodGet, "/readyz") != http.StatusOK {
		t.Error("not ready")
	}
}
