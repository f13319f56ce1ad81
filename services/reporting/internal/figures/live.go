package figures

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"orderflow/pkg/service"
)

const (
	// leastPause keeps live figures to ten a second.
	leastPause = 100 * time.Millisecond
	// lookAlways is how often figures are looked at without a sign: another
	// process may have changed them.
	lookAlways = time.Second
	// heartbeat keeps proxies from taking a quiet stream for a dead one.
	heartbeat = 15 * time.Second
	// patience is how long a client may take to read what it was sent.
	patience = 10 * time.Second
)

// Live shows the summary to everybody who watches, as server-sent events: at
// once, and then whenever it has changed. A client that is slow misses
// summaries, never the latest.
type Live struct {
	read    func(context.Context) (Summary, error)
	changed <-chan struct{}

	mu      sync.Mutex
	clients map[chan []byte]struct{}
	last    []byte // what was sent to everybody; nil after somebody came
}

// NewLive returns the live figures of a store.
func NewLive(s *Store) *Live { return newLive(s.Summary, s.changed) }

func newLive(read func(context.Context) (Summary, error), changed <-chan struct{}) *Live {
	return &Live{read: read, changed: changed, clients: map[chan []byte]struct{}{}}
}

// Run tells the clients of changes until ctx ends (nil), or the figures cannot
// be read (an error; call it again).
func (l *Live) Run(ctx context.Context) error {
	look := time.NewTicker(lookAlways)
	defer look.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.changed:
		case <-look.C:
		}
		if !l.watched() {
			continue
		}
		text, err := l.text(ctx)
		if ctx.Err() != nil {
			return nil // asked to stop
		}
		if err != nil {
			return err
		}
		l.tell(text)
		pause := time.NewTimer(leastPause)
		select {
		case <-ctx.Done():
			pause.Stop()
			return nil
		case <-pause.C:
		}
	}
}

func (l *Live) text(ctx context.Context) ([]byte, error) {
	summary, err := l.read(ctx)
	if err != nil {
		return nil, err
	}
	return json.Marshal(summary)
}

func (l *Live) watched() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return len(l.clients) > 0
}

// tell gives every client a text that differs from the last, in the place of
// one that it has not taken yet.
func (l *Live) tell(text []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if bytes.Equal(text, l.last) {
		return
	}
	l.last = text
	for client := range l.clients {
		select {
		case <-client:
		default:
		}
		client <- text // there is room now, and nobody else fills it
	}
}

func (l *Live) join() chan []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	client := make(chan []byte, 1)
	l.clients[client], l.last = struct{}{}, nil
	return client
}

func (l *Live) leave(client chan []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	delete(l.clients, client)
}

// ServeHTTP streams until the client goes or the service stops.
func (l *Live) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	client := l.join() // before reading, so that no change falls in between
	defer l.leave(client)
	text, err := l.text(r.Context())
	if err != nil {
		unavailable(w)
		return
	}
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	if r.Method == http.MethodHead {
		return
	}
	beat := time.NewTicker(heartbeat)
	defer beat.Stop()
	stream := http.NewResponseController(w)
	message := frame(text)
	for {
		_ = stream.SetWriteDeadline(time.Now().Add(patience)) // where there is none, the write below tells
		if _, err := w.Write(message); err != nil {
			return
		}
		if err := stream.Flush(); err != nil {
			return
		}
		for message = nil; message == nil; {
			select {
			case <-r.Context().Done():
				return
			case <-beat.C:
				message = []byte(": still here\n\n")
			case next := <-client:
				if !bytes.Equal(next, text) {
					text, message = next, frame(next)
				}
			}
		}
	}
}

func frame(text []byte) []byte { return fmt.Appendf(nil, "event: summary\ndata: %s\n\n", text) }

func unavailable(w http.ResponseWriter) {
	w.Header().Set("Content-Type", "application/problem+json")
	w.Header().Set("Retry-After", "1")
	w.WriteHeader(http.StatusServiceUnavailable)
	problem := service.NewProblem(http.StatusServiceUnavailable, "unavailable", "the figures cannot be read at the moment")
	_ = json.NewEncoder(w).Encode(problem) // nobody left to tell
}
