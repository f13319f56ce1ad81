package sqlitebus_test

import (
	"context"
	"database/sql"
	"path/filepath"
	"testing"
	"time"

	_ "modernc.org/sqlite"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/eventbustest"
	"orderflow/pkg/eventbus/sqlitebus"
)

func TestSQLiteBusKeepsThePromises(t *testing.T) {
	eventbustest.Run(t, start)
}

func start(t *testing.T) eventbustest.Harness {
	return harness(filepath.Join(t.TempDir(), "bus.db"))
}

func harness(path string) eventbustest.Harness {
	return eventbustest.Harness{
		Open:          func(t testing.TB) eventbus.Bus { return open(t, path) },
		OrderSurvives: true,
		Interrupt:     func(t testing.TB) { holdFile(t, path) },
		Inject: func(t testing.TB, typ string, body []byte) {
			t.Helper()
			inject(t, path, typ, body)
		},
	}
}

func open(t testing.TB, path string) *sqlitebus.Bus {
	t.Helper()
	bus, err := sqlitebus.Open(t.Context(), sqlitebus.Config{Path: path})
	if err != nil {
		t.Fatalf("open: %v", err)
	}
	return bus
}

// holdFile does what another process can do at worst: hold the file for itself
// for much longer than any transaction of the bus.
func holdFile(t testing.TB, path string) {
	t.Helper()
	release := sqlitebus.HoldFile(t, path)
	held := time.NewTimer(100 * time.Millisecond)
	defer held.Stop()
	<-held.C
	release()
}

func run(t testing.TB, conn *sql.Conn, statement string, args ...any) {
	t.Helper()
	if _, err := conn.ExecContext(context.Background(), statement, args...); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
}

// plain opens the file as any tool would.
func plain(t testing.TB, path string) *sql.DB {
	t.Helper()
	db, err := sql.Open("sqlite", "file:"+path+"?_pragma=busy_timeout(10000)&_pragma=foreign_keys(1)")
	if err != nil {
		t.Fatal(err)
	}
	return db
}

// inject puts a row into the file that the bus would never write.
func inject(t testing.TB, path, typ string, body []byte) {
	t.Helper()
	db := plain(t, path)
	defer db.Close()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	run(t, conn, `BEGIN IMMEDIATE`)
	run(t, conn, `INSERT INTO message (seq, id, source, type, subject, time, datacontenttype, correlationid, causationid, traceparent, sequence, data)
		SELECT next_message, '', '', ?, '', 'yesterday', '', '', '', '', 0, ? FROM bus`, typ, body)
	run(t, conn, `INSERT INTO delivery (queue, message)
		SELECT queue.id, next_message FROM queue, bus
		WHERE queue.name NOT LIKE '%' || ?2 AND (queue.name <> ?1 OR (SELECT count(*) FROM queue) = 2)`, eventbus.Unrouted, eventbus.DeadSuffix)
	run(t, conn, `UPDATE bus SET next_message = next_message + 1`)
	run(t, conn, `COMMIT`)
}
