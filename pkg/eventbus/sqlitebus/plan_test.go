package sqlitebus

import (
	"context"
	"database/sql"
	"strings"
	"testing"
)

// What runs for every batch must cost the same however much is waiting: each
// table is searched by a key, in the order of that key, without a sort.
func TestClaimsAndAcknowledgementsFollowAnIndex(t *testing.T) {
	b := openBus(t)
	for name, c := range map[string]struct {
		query string
		want  []string
	}{
		"claim": {fetchQuery, []string{
			"SEARCH delivery USING PRIMARY KEY (queue=? AND message>?)",
			"SEARCH message USING INTEGER PRIMARY KEY (rowid=?) LEFT-JOIN",
		}},
		"acknowledge": {ackQuery, []string{
			"SEARCH delivery USING PRIMARY KEY (queue=? AND message=?)", "LIST SUBQUERY 1", "SCAN json_each VIRTUAL TABLE INDEX 1:",
		}},
		"sweep": {sweepQuery, []string{
			"SEARCH m USING INTEGER PRIMARY KEY (rowid=?)", "LIST SUBQUERY 1", "SCAN json_each VIRTUAL TABLE INDEX 1:",
			"CORRELATED SCALAR SUBQUERY 2", "SEARCH d USING COVERING INDEX delivery_by_message (message=?)",
		}},
		"acknowledge a range": {ackRangeQuery, []string{
			"SEARCH delivery USING PRIMARY KEY (queue=? AND message>? AND message<?)",
		}},
		"sweep a range": {sweepRangeQuery, []string{
			"SEARCH m USING INTEGER PRIMARY KEY (rowid>? AND rowid<?)",
			"CORRELATED SCALAR SUBQUERY 1", "SEARCH d USING COVERING INDEX delivery_by_message (message=?)",
		}},
		"suspects": {suspectsQuery, []string{
			"CO-ROUTINE (subquery-1)", "SEARCH delivery USING PRIMARY KEY (queue=?)", "SEARCH (subquery-1)",
		}},
	} {
		plan := planOf(t, b, c.query)
		if got, want := strings.Join(plan, "\n"), strings.Join(c.want, "\n"); got != want {
			t.Errorf("%s:\n%s\nwant\n%s", name, got, want)
		}
	}
}

func planOf(t *testing.T, b *Bus, query string) (plan []string) {
	t.Helper()
	args := make([]any, strings.Count(query, "?"))
	for i := range args {
		args[i] = "[1]"
	}
	err := b.onConnection(t.Context(), func(conn *sql.Conn) error {
		rows, err := conn.QueryContext(context.Background(), `EXPLAIN QUERY PLAN `+query, args...)
		if err != nil {
			return err
		}
		return each(rows, func() error {
			var id, parent, unused int
			var detail string
			err := rows.Scan(&id, &parent, &unused, &detail)
			plan = append(plan, detail)
			return err
		})
	})
	if err != nil {
		t.Fatal(err)
	}
	return plan
}
