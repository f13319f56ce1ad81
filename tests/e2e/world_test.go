package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"
)

// world is the running system with the people around it, as one test sees it.
type world struct {
	*system
	t testing.TB
	// scene tells the products of this test from those of others.
	scene string
	book  *book
}

// book keeps what everybody has been promised: every order that was answered
// with 201, whichever test placed it.
type book struct {
	mu        sync.Mutex
	customers []string
	orders    map[string]promise
}

// promise is what an order was when it was placed.
type promise struct {
	customer string
	total    money
}

func (b *book) addCustomer(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.customers = append(b.customers, id)
}

func (b *book) addOrder(o order) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.orders[o.OrderID] = promise{o.CustomerID, o.Total}
}

// newWorld is the world around a system.
func newWorld(t testing.TB, s *system) *world {
	return &world{system: s, t: t, book: &book{orders: map[string]promise{}}}
}

// in is the same world as another test sees it.
func (w *world) in(t testing.TB) *world {
	t.Cleanup(func() {
		if t.Failed() {
			w.logs(t)
		}
	})
	return &world{system: w.system, t: t, book: w.book, scene: strings.ToLower(uuid.NewString()[:8])}
}

// Eventually waits for a condition.
func (w *world) Eventually(what string, condition func() error) {
	w.t.Helper()
	eventually(w.t, what, condition)
}

// call makes a call that must be answered.
func (w *world) call(r request) answer {
	w.t.Helper()
	a, err := w.send(w.t.Context(), r)
	if err != nil {
		w.t.Fatal(err)
	}
	return a
}

// read reads something that must be there.
func read[T any](w *world, service, path string) T {
	w.t.Helper()
	value, err := fetch[T](w, service, path)
	if err != nil {
		w.t.Fatal(err)
	}
	return value
}

// fetch reads something that may not be there yet.
func fetch[T any](w *world, service, path string) (T, error) {
	var none T
	a, err := w.send(w.t.Context(), request{service: service, method: http.MethodGet, path: path})
	if err == nil {
		err = a.must(http.StatusOK)
	}
	if err != nil {
		return none, fmt.Errorf("GET %s of %s: %w", path, service, err)
	}
	value, err := parse[T](a)
	if err != nil {
		return none, fmt.Errorf("GET %s of %s: %w", path, service, err)
	}
	return value, nil
}

// page is a page of a list.
type page[T any] struct {
	Items      []T
	NextCursor string
}

// all reads a list from its first page to its last.
func all[T any](w *world, service, path string) ([]T, error) {
	list, err := url.Parse(path)
	if err != nil {
		return nil, err
	}
	var items []T
	for range 1000 {
		next, err := fetch[page[T]](w, service, list.String())
		if err != nil {
			return nil, err
		}
		items = append(items, next.Items...)
		if next.NextCursor == "" {
			return items, nil
		}
		query := list.Query()
		query.Set("cursor", next.NextCursor)
		list.RawQuery = query.Encode()
	}
	return nil, final{errors.New("a list without an end: " + path)}
}
