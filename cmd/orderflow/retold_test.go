package main

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

// writtenWhen are columns that say when a row was touched.
var writtenWhen = []string{"written_at", "changed_at", "updated_at"}

// rowsOf reads all rows of a service but for those of the kit that take in events.
func rowsOf(t *testing.T, db sqldb.DB) map[string][]string {
	t.Helper()
	names := func(query string, args ...any) []string {
		rows, err := db.Query(t.Context(), query, args...)
		if err != nil {
			t.Fatal(err)
		}
		found, err := sqldb.Collect(rows, func(row sqldb.Row) (name string, err error) { return name, row.Scan(&name) })
		if err != nil {
			t.Fatal(err)
		}
		return found
	}
	all := map[string][]string{}
	for _, table := range names(`SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%' AND name NOT LIKE 'inbox%'
		AND name NOT LIKE 'goose_%' AND name NOT IN ('lease', 'replay', 'rebuild')`) {
		var columns []string
		for _, column := range names(`SELECT name FROM pragma_table_info($1)`, table) {
			if !slices.Contains(writtenWhen, column) {
				columns = append(columns, fmt.Sprintf("'%[1]s=' || COALESCE(CAST(%[1]s AS TEXT), 'NULL')", column))
			}
		}
		all[table] = names(`SELECT ` + strings.Join(columns, ` || ' ' || `) + ` FROM ` + table + ` ORDER BY 1`)
	}
	return all
}

// A history may be told that is older than an inbox remembers. Nothing has its
// effect a second time, in any service: no row, no mail, no announcement.
func TestHistoryThatNoInboxRemembersChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.must("up")
	w.must("demo")
	consumers := map[string]sqldb.DB{}
	for _, service := range []string{"order", "packing", "dispatch", "crm", "reporting"} {
		consumers[service] = w.database(service)
	}
	const movements = `SELECT count(*) FROM movement`
	eventually(t, "everything has arrived and is added up", func() bool {
		s := w.orderflow("verify")
		return s.code == 0 && sqldbtest.Count(t, consumers["reporting"], movements) == 0
	})
	audit := w.audited()
	before, told := map[string]map[string][]string{}, map[string]int{}
	for service, db := range consumers {
		before[service] = rowsOf(t, db)
		told[service] = sqldbtest.Count(t, db, `SELECT count(*) FROM inbox WHERE type NOT LIKE '%.commands.%'`)
		sqldbtest.Exec(t, db, `DELETE FROM inbox`)
	}
	for service, db := range consumers {
		w.must("replay", "--to", service)
		eventually(t, service+" has heard it again", func() bool {
			return sqldbtest.Count(t, db, `SELECT count(*) FROM inbox`) >= told[service]
		})
	}
	eventually(t, "everything is added up", func() bool { return sqldbtest.Count(t, consumers["reporting"], movements) == 0 })
	for _, service := range slices.Sorted(maps.Keys(consumers)) {
		if told[service] == 0 {
			t.Errorf("%s was told nothing: the test is wrong", service)
		}
		if diff := cmp.Diff(before[service], rowsOf(t, consumers[service])); diff != "" {
			t.Errorf("%s is not what it was: %s", service, diff)
		}
	}
	if all, _ := audit.heard(); len(all) > 0 {
		t.Errorf("%d events were announced, the first is %s of %s", len(all), all[0].Type, all[0].Subject)
	}
	w.must("verify")
}
