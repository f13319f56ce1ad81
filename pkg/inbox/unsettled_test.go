package inbox_test

import (
	"errors"
	"testing"
	"time"

	"orderflow/pkg/inbox"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
)

func TestWhatIsHeldOrParkedIsUnsettledUntilAPersonOrATryEndsIt(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		w := newWorld(t, db, inbox.Options{BaseDelay: time.Millisecond, MaxDelay: time.Millisecond, Poll: 5 * time.Millisecond})
		unsettled := func(subject string) bool {
			t.Helper()
			yes, err := w.in.Unsettled(t.Context(), subject)
			if err != nil {
				t.Fatal(err)
			}
			return yes
		}
		w.when("held", always(errors.New("not yet")))
		w.when("parked", always(inbox.Park(errors.New("never"))))
		w.handle(t, event(placed, "a", "held"), event(placed, "b", "parked"), event(placed, "c", "fine"))
		for subject, want := range map[string]bool{"a": true, "b": true, "c": false, "d": false} {
			if unsettled(subject) != want {
				t.Errorf("%s is unsettled: %v", subject, !want)
			}
		}
		w.when("held", nil)
		w.run(t)
		w.waitNoneHeld(t, 1)
		if err := w.in.Discard(t.Context(), "parked"); err != nil {
			t.Fatal(err)
		}
		if unsettled("a") || unsettled("b") {
			t.Error("still unsettled")
		}
	})
}
