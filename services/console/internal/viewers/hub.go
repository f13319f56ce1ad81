package viewers

import (
	"bytes"
	"context"
	"encoding/json"
	"sync"
)

// Source finds something out, again and again, until ctx ends. It hands each
// state to emit, which reports whether the state differs from the last one.
type Source func(ctx context.Context, emit func(state any) bool)

// Topic is something to look at.
type Topic struct {
	// Key is what makes two viewers look at the same thing.
	Key string
	// Event is the name under which its states are sent.
	Event string
	// Source finds them out.
	Source Source
}

// Message is a state to be sent.
type Message struct {
	Event string
	Data  []byte
}

// Hub runs one source for all viewers of a topic. It is safe for concurrent use.
type Hub struct {
	mu     sync.Mutex
	topics map[string]*running
}

// running is a topic that somebody looks at.
type running struct {
	topic   Topic
	stop    context.CancelFunc
	ended   chan struct{}
	last    []byte
	viewers map[*Viewer]bool
}

// NewHub returns a hub without viewers.
func NewHub() *Hub { return &Hub{topics: map[string]*running{}} }

// Viewer looks at some topics; it belongs to one goroutine.
type Viewer struct {
	hub    *Hub
	topics []Topic
	// changed holds at most one token: there is something to take.
	changed chan struct{}

	mu      sync.Mutex
	waiting map[string][]byte
}

// Join returns a viewer of the topics given. It must be closed.
func (h *Hub) Join(topics ...Topic) *Viewer {
	v := &Viewer{hub: h, topics: topics, changed: make(chan struct{}, 1), waiting: map[string][]byte{}}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, topic := range topics {
		r := h.topics[topic.Key]
		if r == nil {
			r = h.start(topic)
		}
		r.viewers[v] = true
		if r.last != nil {
			v.put(topic.Event, r.last)
		}
	}
	return v
}

// start runs a topic's source apart from any one request: it lives as long as
// its last viewer.
func (h *Hub) start(topic Topic) *running {
	ctx, stop := context.WithCancel(context.Background())
	r := &running{topic: topic, stop: stop, ended: make(chan struct{}), viewers: map[*Viewer]bool{}}
	h.topics[topic.Key] = r
	go func() {
		defer close(r.ended)
		topic.Source(ctx, func(state any) bool { return h.spread(r, state) })
	}()
	return r
}

// spread gives a state to every viewer of a topic, unless they have it.
func (h *Hub) spread(r *running, state any) bool {
	data, err := json.Marshal(state)
	if err != nil {
		panic(err) // states are plain structs
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if bytes.Equal(data, r.last) {
		return false
	}
	r.last = data
	for v := range r.viewers {
		v.put(r.topic.Event, data)
	}
	return true
}

func (v *Viewer) put(event string, data []byte) {
	v.mu.Lock()
	v.waiting[event] = data
	v.mu.Unlock()
	select {
	case v.changed <- struct{}{}:
	default: // the token is there already
	}
}

// Changed delivers when there is something to take.
func (v *Viewer) Changed() <-chan struct{} { return v.changed }

// Take returns the newest state of every topic that changed since the last call.
func (v *Viewer) Take() []Message {
	v.mu.Lock()
	defer v.mu.Unlock()
	var messages []Message
	for _, topic := range v.topics {
		if data, ok := v.waiting[topic.Event]; ok {
			messages = append(messages, Message{topic.Event, data})
		}
	}
	clear(v.waiting)
	return messages
}

// Close ends the viewing. When nobody else looks at a topic its source is
// stopped, and has ended when Close returns.
func (v *Viewer) Close() {
	for _, r := range v.leave() {
		r.stop()
		<-r.ended
	}
}

func (v *Viewer) leave() []*running {
	v.hub.mu.Lock()
	defer v.hub.mu.Unlock()
	var unseen []*running
	for _, topic := range v.topics {
		r := v.hub.topics[topic.Key]
		if r == nil || !r.viewers[v] {
			continue
		}
		delete(r.viewers, v)
		if len(r.viewers) == 0 {
			delete(v.hub.topics, topic.Key)
			unseen = append(unseen, r)
		}
	}
	return unseen
}
