package servicetest

import (
	"net/http"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/position"
	"orderflow/pkg/sqldb/sqldbtest"
)

// RestsOn checks that the position of a command's answer is that of an event
// which the service announced, the one of a type and sequence.
func (s *Service) RestsOn(a Answer, typ string, sequence int64) {
	s.t.Helper()
	p, err := position.Parse(a.Header.Get("Orderflow-Position"))
	if err != nil {
		s.t.Errorf("Orderflow-Position %q: %v", a.Header.Get("Orderflow-Position"), err)
		return
	}
	if e := s.Hears(typ, p.Subject); position.Of(e) != p && e.Sequence == sequence || p.Sequence != sequence {
		s.t.Errorf("the answer rests on %+v, announced was %+v, wanted is %d", p, position.Of(e), sequence)
	}
}

// Shows reads with the position of an event until the service has come that far,
// and returns the first answer that it gives then.
func (s *Service) Shows(path string, e eventbus.Event) Answer {
	s.t.Helper()
	var a Answer
	sqldbtest.Eventually(s.t, "it has come as far as "+e.Type, func() bool {
		a = s.Get(path + "wait=5s&after=" + position.Of(e).String())
		return a.Status != http.StatusServiceUnavailable
	})
	if a.Want(http.StatusOK); a.Header.Get("Orderflow-Behind") == "" {
		s.t.Errorf("%s does not say how far it is behind", path)
	}
	return a
}
