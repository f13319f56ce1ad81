package eventlog

import "fmt"

// What is read is also checked for what is not there: an index or a page of the file that has lost a part of itself gives
// a shorter answer, which looks like any other.

func missing(at int64) error {
	return fmt.Errorf("%w: an event next to position %d is missing", ErrDamaged, at)
}

// checkWhole checks that a page of the log has no hole: each event names the one before it. The last event of the log is
// known to lie at position last or behind it.
func checkWhole(c *conn, page AllPage, from int64, backwards bool, last int64) error {
	n := len(page.Events)
	if n > 0 && (page.Events[0].Position < from) != backwards {
		// A damaged index finds what was not looked for. Whoever reads on from there would read in a circle.
		return fmt.Errorf("%w: the event at position %d is out of its place", ErrDamaged, page.Events[0].Position)
	}
	for i := 1; i < n; i++ {
		earlier, later := page.Events[i-1], page.Events[i]
		if backwards {
			earlier, later = later, earlier
		}
		if later.previous != earlier.Position {
			return missing(later.Position)
		}
	}
	if backwards {
		return checkWholeBackwards(c, page, from, last)
	}
	end := max(from-1, 0) // everything up to here was read, or not asked for
	if n > 0 {
		if page.Events[0].previous >= max(from, 1) {
			return missing(page.Events[0].Position)
		}
		end = page.Events[n-1].Position
	}
	if !page.More && end < last {
		return missing(last)
	}
	return nil
}

func checkWholeBackwards(c *conn, page AllPage, from, last int64) error {
	var newest, before int64 // positions of the first event of the page, and of the event before its last one
	if n := len(page.Events); n > 0 {
		newest, before = page.Events[0].Position, page.Events[n-1].previous
	}
	if from > last { // the log may have grown since
		if newest < last {
			return missing(last)
		}
	} else {
		behind, _, err := readRows(c, "", sqlAllForwards, 1, from, 1)
		switch {
		case err != nil:
			return err
		case len(behind) == 0:
			return missing(last)
		case behind[0].previous != newest:
			return missing(from)
		}
	}
	if !page.More && before != 0 {
		return missing(before)
	}
	return nil
}

// checkDense checks that a page of a stream has every revision between low and high that the stream has. The page was
// read after the stream was looked at, which may have grown since.
func (s *Stream) checkDense(page *Page, low, high int64, backwards bool) error {
	low = max(low, 0)
	last := s.Last
	if s.Tombstoned() {
		last = -1 // where the events before a tombstone end is not known
	}
	want, step := low, int64(1)
	if backwards {
		want, step = min(high, last), -1
	}
	known := !s.Tombstoned()
	for _, e := range page.Events {
		if e.Revision == TombstoneRevision {
			continue
		}
		if backwards && !known {
			want, known = e.Revision, true
		}
		if e.Revision != want {
			return s.missing(want)
		}
		want += step
	}
	switch {
	case page.More:
		return nil
	case !backwards && want <= min(high, last), backwards && known && want >= low:
		return s.missing(want)
	}
	return nil
}

// checkOrder checks that a page of a stream lies between two revisions and goes one way.
func (s *Stream) checkOrder(page *Page, low, high int64, backwards bool) error {
	for _, e := range page.Events {
		if e.Revision < low || e.Revision > high {
			return fmt.Errorf("%w: event %d of stream %q is out of its place", ErrDamaged, e.Revision, s.Name)
		}
		if backwards {
			high = e.Revision - 1
		} else {
			low = e.Revision + min(1, TombstoneRevision-e.Revision) // a tombstone, whose revision is the largest, is the last
		}
	}
	return nil
}

func (s *Stream) missing(revision int64) error {
	return fmt.Errorf("%w: event %d of stream %q is missing", ErrDamaged, revision, s.Name)
}
