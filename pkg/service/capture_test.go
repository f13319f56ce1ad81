package service_test

import (
	"context"
	"log/slog"
	"net/http"
	"strings"
	"testing"

	"orderflow/pkg/outbox"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

func TestASettingMakesPostgreSQLStreamTheOutbox(t *testing.T) {
	w := newWorld(t)
	url := sqldbtest.PostgresURL(t)
	db, err := sqldb.Open(t.Context(), url)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(db.Close)
	t.Cleanup(func() { // after the service has stopped
		if err := outbox.New(db, nil, slog.New(slog.DiscardHandler), outbox.Options{}).DropSlot(context.Background()); err != nil {
			t.Errorf("drop the slot: %v", err)
		}
	})
	w.environ["DATABASE_URL"], w.environ["OUTBOX"] = url, "cdc"
	w.startReady(parts)
	w.eventually("PostgreSQL streams", func() bool {
		return strings.Contains(w.ask(http.MethodGet, "/metrics", "").body, "orderflow_outbox_streaming 1")
	})
	if err := w.stop(); err != nil {
		t.Error(err)
	}
}
