package e2e

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"time"
)

// client is used by everybody. No answer takes longer than a service allows.
var client = &http.Client{Timeout: 20 * time.Second}

// request is a call of a service.
type request struct {
	service, method, path string
	// body is sent as it is when it is a string, otherwise as JSON; nil is none.
	body   any
	header map[string]string
}

// answer is what came back.
type answer struct {
	status int
	header http.Header
	body   []byte
}

// send makes the call. The only errors are those of the network.
func (s *system) send(ctx context.Context, r request) (answer, error) {
	var body io.Reader
	switch given := r.body.(type) {
	case nil:
	case string:
		body = bytes.NewReader([]byte(given))
	default:
		text, err := json.Marshal(given)
		if err != nil {
			return answer{}, err
		}
		body = bytes.NewReader(text)
	}
	call, err := http.NewRequestWithContext(ctx, r.method, s.urls[r.service]+r.path, body)
	if err != nil {
		return answer{}, err
	}
	if body != nil {
		call.Header.Set("Content-Type", "application/json")
	}
	for name, value := range maps.All(r.header) {
		call.Header.Set(name, value)
	}
	response, err := client.Do(call)
	if err != nil {
		return answer{}, err
	}
	defer func() { _ = response.Body.Close() }() // read to the end below
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return answer{}, err
	}
	return answer{status: response.StatusCode, header: response.Header, body: text}, nil
}

// must returns an error unless the answer has the status.
func (a answer) must(status int) error {
	if a.status != status {
		return fmt.Errorf("status %d, want %d: %s", a.status, status, a.body)
	}
	return nil
}

// problem is a problem document (RFC 9457).
type problem struct {
	Type   string
	Title  string
	Status int
	Detail string
	Errors []struct{ Location, Message string }
}

// problem reads a problem document and checks its form.
func (a answer) problem() (problem, error) {
	var p problem
	if media := a.header.Get("Content-Type"); media != "application/problem+json" {
		return p, fmt.Errorf("Content-Type is %q", media)
	}
	if err := json.Unmarshal(a.body, &p); err != nil {
		return p, err
	}
	if p.Status != a.status || p.Title == "" {
		return p, fmt.Errorf("a problem of status %d titled %q in an answer of status %d", p.Status, p.Title, a.status)
	}
	return p, nil
}

// parse reads the body.
func parse[T any](a answer) (T, error) {
	var value T
	err := json.Unmarshal(a.body, &value)
	return value, err
}
