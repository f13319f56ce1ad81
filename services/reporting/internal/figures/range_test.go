package figures

import (
	"errors"
	"testing"
	"time"

	"orderflow/pkg/service"
)

func TestRangeOfDaysIsReadFromTheQuery(t *testing.T) {
	now := time.Date(2025, 5, 30, 23, 59, 0, 0, time.FixedZone("west", -3600)) // already the 31st in UTC
	for _, c := range []struct{ from, to, first, last, fault string }{
		{"", "", "2025-05-02", "2025-05-31", ""},
		{"2025-05-31", "", "2025-05-31", "2025-05-31", ""},
		{"", "2025-03-01", "2025-01-31", "2025-03-01", ""},
		{"2024-01-01", "2024-12-31", "2024-01-01", "2024-12-31", ""},
		{"2024-01-01", "2025-01-01", "", "", "query.from"},
		{"2025-06-01", "", "", "", "query.from"},
		{"2025-05-02", "2025-05-01", "", "", "query.to"},
		{"2025-02-30", "", "", "", "query.from"},
		{"", "yesterday", "", "", "query.to"},
	} {
		first, last, err := (&perDayInput{From: c.from, To: c.to}).days(now)
		var problem *service.Problem
		switch {
		case c.fault != "":
			if !errors.As(err, &problem) || problem.Status != 422 || problem.Errors[0].Location != c.fault {
				t.Errorf("%q to %q: %v", c.from, c.to, err)
			}
		case err != nil || first.Format(dateOnly) != c.first || last.Format(dateOnly) != c.last:
			t.Errorf("%q to %q: %v to %v, %v", c.from, c.to, first, last, err)
		}
	}
}
