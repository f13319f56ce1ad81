package stagetest

import (
	"slices"
	"strings"
	"time"

	"orderflow/pkg/service"
	"orderflow/services/console/internal/board"
)

// Add puts an order on top of the list.
func (s *System) Add(order board.Order) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.orders = slices.Insert(s.orders, 0, &order)
}

// Change changes an order.
func (s *System) Change(orderID string, change func(*board.Order)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, order := range s.orders {
		if order.OrderID == orderID {
			change(order)
		}
	}
}

// Call gives a customer a name in crm.
func (s *System) Call(customerID, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.names[customerID] = name
}

// Tell adds to what a service tells about an order.
func (s *System) Tell(name, orderID string, items ...service.TraceItem) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.traces[name][orderID] = append(s.traces[name][orderID], items...)
}

// Forget makes a service tell nothing about an order any more.
func (s *System) Forget(name, orderID string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.traces[name], orderID)
}

// Figure sets what reporting sends, a JSON text.
func (s *System) Figure(figures string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.figures = strings.Join(strings.Fields(figures), "") // one line, as events are sent
	close(s.changed)
	s.changed = make(chan struct{})
}

// Fail makes a service not ready for a reason; an empty one makes it ready.
func (s *System) Fail(name, reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failing[name] = reason
}

// Bury sets how many dead letters a service has.
func (s *System) Bury(name string, letters int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.letters[name] = letters
}

// Moment is a time of day on the day on which tests take place.
func Moment(afterStart time.Duration) time.Time {
	return time.Date(2026, 3, 14, 9, 26, 53, 123456000, time.UTC).Add(afterStart)
}
