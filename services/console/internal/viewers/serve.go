package viewers

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"time"

	"orderflow/pkg/service"
)

const (
	// beat is how often a browser hears that the connection lives; one that hears
	// nothing for three times as long connects anew.
	beat = 5 * time.Second
	// writeWithin bounds a write to a browser that does not read.
	writeWithin = 10 * time.Second
	// MaxViewers bounds the browsers served at once, and with them the work that
	// looking causes to the services.
	MaxViewers = 100
)

// Topics are what a browser can look at.
type Topics struct {
	// Orders is the board of a status; empty means every status.
	Orders func(status string) Source
	// Summary is the figures.
	Summary Source
	// Health is how the services are.
	Health Source
	// Timeline is the way of one order.
	Timeline func(orderID string) Source
}

// Serve adds GET /api/events?status=&order=: server-sent events named orders,
// summary, health and, for the order chosen, timeline, each with the whole state
// as JSON, whenever it has changed; and beat, with the server's time, so that a
// browser notices a connection that died silently.
func Serve(svc *service.Service, hub *Hub, topics Topics) {
	places := make(chan struct{}, MaxViewers)
	svc.Router.Get("/api/events", func(w http.ResponseWriter, r *http.Request) {
		chosen, problem := topics.choose(r)
		if problem != nil {
			refuse(w, problem)
			return
		}
		select {
		case places <- struct{}{}:
			defer func() { <-places }()
		default:
			refuse(w, service.NewProblem(http.StatusServiceUnavailable, "too-many-viewers",
				fmt.Sprintf("%d browsers are looking already", MaxViewers)).RetryAfter("10"))
			return
		}
		stream(w, r, hub, chosen)
	})
}

// choose reads what a browser wants to look at.
func (t Topics) choose(r *http.Request) ([]Topic, *service.Problem) {
	query := r.URL.Query()
	status, order := query.Get("status"), query.Get("order")
	if !slices.Contains([]string{"", "placed", "packed", "dispatched", "cancelled"}, status) {
		return nil, service.NewProblem(http.StatusUnprocessableEntity, "invalid-request", "validation failed",
			service.FieldError{Location: "query.status", Message: "not a status of an order"})
	}
	chosen := []Topic{
		{"orders:" + status, "orders", t.Orders(status)},
		{"summary", "summary", t.Summary},
		{"health", "health", t.Health},
	}
	if order == "" {
		return chosen, nil
	}
	if _, err := service.PathID("order", order); err != nil {
		return nil, service.NewProblem(http.StatusUnprocessableEntity, "invalid-request", "validation failed",
			service.FieldError{Location: "query.order", Message: "not the id of an order"})
	}
	// The order somebody waits for comes first.
	return append([]Topic{{"timeline:" + order, "timeline", t.Timeline(order)}}, chosen...), nil
}

func stream(w http.ResponseWriter, r *http.Request, hub *Hub, topics []Topic) {
	header := w.Header()
	header.Set("Content-Type", "text/event-stream")
	header.Set("Cache-Control", "no-store")
	header.Set("X-Accel-Buffering", "no") // for proxies in front that would hold events back
	if r.Method == http.MethodHead {
		return
	}
	viewer := hub.Join(topics...)
	defer viewer.Close()
	writer := http.NewResponseController(w)
	alive := time.NewTicker(beat)
	defer alive.Stop()
	send := func(messages ...Message) bool {
		// A server without deadlines still serves; it only waits longer for the dead.
		_ = writer.SetWriteDeadline(time.Now().Add(writeWithin))
		for _, m := range messages {
			if _, err := fmt.Fprintf(w, "event: %s\ndata: %s\n\n", m.Event, m.Data); err != nil {
				return false
			}
		}
		return writer.Flush() == nil
	}
	if !send(now()) {
		return
	}
	for {
		var messages []Message
		select {
		case <-r.Context().Done():
			return
		case <-alive.C:
			messages = []Message{now()}
		case <-viewer.Changed():
			messages = viewer.Take()
		}
		if !send(messages...) {
			return
		}
	}
}

// now is a beat; ages on the page are reckoned by the server's clock.
func now() Message {
	text, _ := json.Marshal(map[string]time.Time{"now": time.Now().UTC()}) // always can
	return Message{"beat", text}
}

func refuse(w http.ResponseWriter, problem *service.Problem) {
	for name, values := range problem.GetHeaders() {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", "application/problem+json")
	w.WriteHeader(problem.Status)
	_ = json.NewEncoder(w).Encode(problem) // nobody left to tell
}
