package rabbitmq

import "sync"

// suspects are the routing keys of which the broker has left an event without an
// answer: a queue that gets them may have lost its leader. A broker that waits
// for such a queue stops reading from the connection after some thirty events,
// and on a new connection after the first, so that nobody's events get through.
// Therefore those of a suspect are kept off the connection that all share, until
// one of them was answered on a connection of its own:
//
//	trusted ──no answer within ConfirmTimeout──> suspect ──asked, on a connection of its own──┐
//	   ^                                            ^                                         │
//	   │                                            └──────────────no answer──────────────────┤
//	   └─────────────────────────────────────────────────────────────answer───────────────────┘
//
// There are as many as routing keys in use at most. The zero value has none.
type suspects struct {
	mu   sync.Mutex
	keys map[string]bool // whether one of its events is on its way
}

func (s *suspects) add(key string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.keys == nil {
		s.keys = map[string]bool{}
	}
	if _, known := s.keys[key]; !known {
		s.keys[key] = false
	}
}

func (s *suspects) has(key string) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, known := s.keys[key]
	return known
}

// ask picks the first message of a suspect that nobody asks about at the moment
// and that overtakes none of its subject; -1 means that there is none. Whoever
// gets one has to say what the answer was.
func (s *suspects) ask(messages []outgoing) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	passed := map[string]bool{}
	for i, m := range messages {
		if asked, known := s.keys[m.key]; known && !asked && !passed[m.subject] {
			s.keys[m.key] = true
			return i
		}
		passed[m.subject] = true
	}
	return -1
}

func (s *suspects) answer(key string, came bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if came {
		delete(s.keys, key)
	} else {
		s.keys[key] = false
	}
}
