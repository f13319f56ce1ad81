package servicetest

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"slices"
	"strings"
	"testing"

	"orderflow/pkg/service"
)

// Answer is what the service said over HTTP.
type Answer struct {
	Status int
	Header http.Header
	Body   []byte

	t *testing.T
}

// Call sends a request. A body that is a string is sent as it is, anything else
// but nil as JSON; headers are names and values in turn. When nobody answers the
// test fails, and the answer is empty.
func (s *Service) Call(method, path string, body any, headers ...string) Answer {
	s.t.Helper()
	// Without cancellation, as a test may call while it ends.
	request, err := http.NewRequestWithContext(context.WithoutCancel(s.t.Context()), method, s.URL()+path, content(s.t, body))
	if err != nil {
		s.t.Error(err)
		return Answer{t: s.t}
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	for pair := range slices.Chunk(headers, 2) {
		request.Header.Set(pair[0], pair[1])
	}
	response, err := s.client.Do(request)
	if err != nil {
		s.t.Error(err) // calls may come from other goroutines than the test's
		return Answer{t: s.t}
	}
	defer func() { _ = response.Body.Close() }() // it was read to its end
	text, err := io.ReadAll(response.Body)
	if err != nil {
		s.t.Error(err)
	}
	return Answer{t: s.t, Status: response.StatusCode, Header: response.Header, Body: text}
}

// Get is Call for what is only read.
func (s *Service) Get(path string) Answer {
	s.t.Helper()
	return s.Call(http.MethodGet, path, nil)
}

// ready is a call that may fail.
func (s *Service) ready() bool {
	request, err := http.NewRequestWithContext(s.t.Context(), http.MethodGet, s.URL()+"/readyz", http.NoBody)
	if err != nil {
		return false
	}
	response, err := s.client.Do(request)
	if err != nil {
		return false
	}
	return response.Body.Close() == nil && response.StatusCode == http.StatusOK
}

func content(t *testing.T, body any) io.Reader {
	t.Helper()
	switch b := body.(type) {
	case nil:
		return http.NoBody
	case string:
		return strings.NewReader(b)
	}
	text, err := json.Marshal(body)
	if err != nil {
		t.Error(err)
	}
	return bytes.NewReader(text)
}

// In makes a subtest the one that fails for what is found in the answer.
func (a Answer) In(t *testing.T) Answer {
	a.t = t
	return a
}

// Want ends the test unless the status is this one.
func (a Answer) Want(status int) Answer {
	a.t.Helper()
	if a.Status != status {
		a.t.Fatalf("status %d, want %d: %s", a.Status, status, a.Body)
	}
	return a
}

// Refused fails the test unless the answer is the problem with this status and
// code, and, where locations are given, blames these in this order and nothing
// else, each for one reason or several.
func (a Answer) Refused(status int, code string, locations ...string) Answer {
	a.t.Helper()
	var problem service.Problem
	if err := json.Unmarshal(a.Body, &problem); err != nil || a.Status != status || problem.Status != status ||
		problem.Type != "urn:orderflow:problem:"+code || a.Header.Get("Content-Type") != "application/problem+json" {
		a.t.Errorf("want the problem %d %s, got %d %s: %s", status, code, a.Status, a.Header.Get("Content-Type"), a.Body)
	}
	var blamed []string
	for _, fault := range problem.Errors {
		blamed = append(blamed, fault.Location)
	}
	if blamed = slices.Compact(blamed); len(locations) > 0 && !slices.Equal(blamed, locations) {
		a.t.Errorf("blames %q, want %q: %s", blamed, locations, a.Body)
	}
	return a
}

// Into decodes the body, which must be JSON.
func (a Answer) Into(target any) Answer {
	a.t.Helper()
	if err := json.Unmarshal(a.Body, target); err != nil {
		a.t.Fatalf("%v: %s", err, a.Body)
	}
	return a
}

// Fields returns the body as an object, nil when it is none.
func (a Answer) Fields() map[string]any {
	var fields map[string]any
	if json.Unmarshal(a.Body, &fields) != nil {
		return nil
	}
	return fields
}

// Text returns a field of the body, or an empty string when it is no text.
func (a Answer) Text(field string) string {
	text, _ := a.Fields()[field].(string)
	return text
}

// Items returns a field of every item of a list; not nil.
func (a Answer) Items(field string) []string {
	list, _ := a.Fields()["items"].([]any)
	texts := []string{}
	for _, item := range list {
		fields, _ := item.(map[string]any)
		text, _ := fields[field].(string)
		texts = append(texts, text)
	}
	return texts
}
