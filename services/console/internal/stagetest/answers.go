package stagetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"orderflow/pkg/service"
	"orderflow/services/console/internal/board"
)

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // nobody left to tell
}

func notFound(w http.ResponseWriter) {
	answer(w, http.StatusNotFound, service.NewProblem(http.StatusNotFound, "not-found", "there is no such thing"))
}

func (s *System) serveReadiness(w http.ResponseWriter, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	failing := s.failing[name]
	readiness := service.Readiness{Service: name, Ready: failing == "", Checks: []service.CheckResult{{Name: "event bus", OK: failing == "", Detail: failing}}}
	if failing != "" {
		answer(w, http.StatusServiceUnavailable, readiness)
		return
	}
	answer(w, http.StatusOK, readiness)
}

func (s *System) serveLetters(w http.ResponseWriter, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	page := service.Page[map[string]string]{Items: []map[string]string{}}
	for i := range min(s.letters[name], 100) {
		page.Items = append(page.Items, map[string]string{"id": strconv.Itoa(i)})
	}
	if s.letters[name] > 100 {
		page.NextCursor = "more"
	}
	answer(w, http.StatusOK, page)
}

func (s *System) serveTrace(w http.ResponseWriter, name, orderID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	items := s.traces[name][orderID]
	if items == nil {
		items = []service.TraceItem{}
	}
	answer(w, http.StatusOK, service.Trace{Service: name, OrderID: orderID, Items: items})
}

func (s *System) serveOrders(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	limit, err := strconv.Atoi(r.URL.Query().Get("limit"))
	if err != nil || r.URL.Query().Get("cursor") == "bad" {
		answer(w, http.StatusUnprocessableEntity, service.NewProblem(http.StatusUnprocessableEntity, "invalid-request", "validation failed"))
		return
	}
	page := service.Page[*board.Order]{Items: []*board.Order{}}
	for _, order := range s.orders {
		if status := r.URL.Query().Get("status"); status != "" && order.Status != status {
			continue
		}
		if len(page.Items) == limit {
			page.NextCursor = "more"
			break
		}
		page.Items = append(page.Items, order)
	}
	answer(w, http.StatusOK, page)
}

func (s *System) serveOrder(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, order := range s.orders {
		if order.OrderID == r.PathValue("id") {
			answer(w, http.StatusOK, order)
			return
		}
	}
	notFound(w)
}

func (s *System) serveCustomer(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	name, ok := s.names[r.PathValue("id")]
	if !ok {
		notFound(w)
		return
	}
	answer(w, http.StatusOK, map[string]string{"name": name})
}

// serveLive sends the figures at once and whenever they change.
func (s *System) serveLive(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/event-stream")
	for {
		s.mu.Lock()
		figures, changed := s.figures, s.changed
		s.mu.Unlock()
		if _, err := fmt.Fprintf(w, ": as of now\nevent: summary\ndata: %s\n\n", figures); err != nil {
			return
		}
		if err := http.NewResponseController(w).Flush(); err != nil {
			return
		}
		select {
		case <-changed:
		case <-r.Context().Done():
			return
		}
	}
}
