package client

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

// Client calls the services. It is safe for concurrent use.
type Client struct {
	urls map[string]string
	http *http.Client
}

// New returns a client of the services at these URLs, by name. connections is how many calls it makes at the same time
// without opening a new connection for each.
func New(urls map[string]string, connections int) *Client {
	transport := &http.Transport{MaxIdleConns: 0, MaxIdleConnsPerHost: connections, IdleConnTimeout: time.Minute}
	return &Client{urls: urls, http: &http.Client{Transport: transport, Timeout: 30 * time.Second}}
}

// Close gives back the connections that are idle.
func (c *Client) Close() { c.http.CloseIdleConnections() }

// Problem is an answer that says no.
type Problem struct {
	Status int    `json:"status"`
	Type   string `json:"type"`
	Detail string `json:"detail"`
	Title  string `json:"title"`
}

// Error is what the answer says.
func (p *Problem) Error() string {
	text := p.Detail
	if text == "" {
		text = p.Title
	}
	return fmt.Sprintf("answered %d: %s", p.Status, text)
}

// get reads a resource.
func (c *Client) get(ctx context.Context, service, path string, into any) error {
	return c.call(ctx, http.MethodGet, service, path, nil, into)
}

// post sends a command.
func (c *Client) post(ctx context.Context, service, path string, body, into any) error {
	return c.call(ctx, http.MethodPost, service, path, body, into)
}

func (c *Client) call(ctx context.Context, method, service, path string, body, into any) error {
	err := c.do(ctx, method, service, path, body, into)
	if err != nil {
		return fmt.Errorf("%s: %s %s: %w", service, method, path, err)
	}
	return nil
}

func (c *Client) do(ctx context.Context, method, service, path string, body, into any) error {
	var content io.Reader = http.NoBody
	if body != nil {
		text, err := json.Marshal(body)
		if err != nil {
			return err
		}
		content = bytes.NewReader(text)
	}
	request, err := http.NewRequestWithContext(ctx, method, c.urls[service]+path, content)
	if err != nil {
		return err
	}
	if body != nil {
		request.Header.Set("Content-Type", "application/json")
	}
	response, err := c.http.Do(request)
	if err != nil {
		return err
	}
	defer func() { _ = response.Body.Close() }() // only read
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return err
	}
	if response.StatusCode/100 != 2 {
		problem := &Problem{Status: response.StatusCode, Title: response.Status}
		if err := json.Unmarshal(text, problem); err != nil {
			problem.Detail = string(text)
		}
		return problem
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}

// Eventually repeats attempt until it returns nil, or an error that waiting does not mend, or ctx ends; the error then
// says what was waited for and how the last attempt failed. Waiting mends answers of 404, 409 and 503, and [ErrNotYet].
func (c *Client) Eventually(ctx context.Context, what string, attempt func(context.Context) error) error {
	ticker := time.NewTicker(25 * time.Millisecond)
	defer ticker.Stop()
	var last error
	for {
		err := attempt(ctx)
		if err == nil {
			return nil
		}
		if ctx.Err() == nil && !passing(err) {
			return fmt.Errorf("%s: %w", what, err)
		}
		if last == nil || passing(err) { // an attempt that was cut off says nothing
			last = err
		}
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return fmt.Errorf("%s: did not happen in time: %w", what, last)
		}
	}
}

// ErrNotYet says that something is still on its way.
var ErrNotYet = errors.New("not yet")

// IsPassing tells an error that waiting may mend, as of a service that is being started again, from an answer that says no.
func IsPassing(err error) bool {
	if _, unreachable := IsUnreachable(err); unreachable {
		return true
	}
	problem, ok := errors.AsType[*Problem](err)
	return ok && (problem.Status == http.StatusBadGateway || problem.Status == http.StatusServiceUnavailable || problem.Status == http.StatusGatewayTimeout)
}

func passing(err error) bool {
	if errors.Is(err, ErrNotYet) {
		return true
	}
	problem, ok := errors.AsType[*Problem](err)
	return ok && (problem.Status == http.StatusNotFound || problem.Status == http.StatusConflict || problem.Status == http.StatusServiceUnavailable)
}
