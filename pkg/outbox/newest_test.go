package outbox_test

import (
	"fmt"
	"testing"

	"orderflow/pkg/cause"
	"orderflow/pkg/outbox"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

func TestTheNewestEventAboutASubjectIsKnownWhileItIsKept(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		if err := outbox.Migrate(t.Context(), db); err != nil {
			t.Fatal(err)
		}
		out := outbox.New(db, &fakeBus{}, nil, outbox.Options{})
		newest := func(subject string) string {
			p, known, err := out.Newest(t.Context(), subject)
			if err != nil {
				t.Fatal(err)
			}
			if !known {
				return "unknown"
			}
			return fmt.Sprint(p)
		}
		first, second, other := event("1", "a"), event("2", "a"), event("3", "b")
		first.Sequence, second.Sequence, other.Sequence = 1, 4, 9
		err := db.Update(t.Context(), func(tx sqldb.Tx) error { return out.Add(t.Context(), tx, cause.Cause{}, first, second, other) })
		if err != nil {
			t.Fatal(err)
		}
		if got := newest("a"); got != "WyIvb3JkZXJmbG93L3BhY2tpbmciLCJhIiwicGFja2luZy5ldmVudHMucGFja2VkIiw0XQ" { // ["/orderflow/packing","a","packing.events.packed",4]
			t.Errorf("%s", got)
		}
		if got := newest("c"); got != "unknown" {
			t.Errorf("%s", got)
		}
		sqldbtest.Exec(t, db, `DELETE FROM outbox WHERE subject = 'a'`)
		if got := newest("a"); got != "unknown" {
			t.Errorf("%s", got)
		}
	})
}
