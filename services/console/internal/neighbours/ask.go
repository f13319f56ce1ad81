package neighbours

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
)

// maxAnswer is the largest answer that is read, in bytes.
const maxAnswer = 4 << 20

// What can be wrong with an answer; both come with the name of the service.
var (
	// ErrUnanswered says that there was no answer, or none in time.
	ErrUnanswered = errors.New("does not answer")
	// ErrNotFound says that the service knows nothing under that path.
	ErrNotFound = errors.New("knows nothing of it")
)

// RefusedError is an answer that says no.
type RefusedError struct {
	// Service is who said so.
	Service string
	// Status is the HTTP status of the answer.
	Status int
	// Detail is the text for people in a problem document (RFC 9457), or empty.
	Detail string
}

// Error is the refusal in one line.
func (r *RefusedError) Error() string {
	if r.Detail == "" {
		return fmt.Sprintf("%s answers %d", r.Service, r.Status)
	}
	return fmt.Sprintf("%s answers %d: %s", r.Service, r.Status, r.Detail)
}

// Get asks a service and decodes its answer into target. The error is for
// people to read: it names the service and what is the matter with it.
func (n *Neighbours) Get(ctx context.Context, name, path string, target any) error {
	return n.Ask(ctx, name, path, target, http.StatusOK)
}

// Ask is [Neighbours.Get] for paths whose answer is as meaningful with another
// status, such as 503 of /readyz.
func (n *Neighbours) Ask(ctx context.Context, name, path string, target any, good ...int) error {
	ctx, cancel := context.WithTimeout(ctx, Timeout)
	defer cancel()
	answer, err := n.open(ctx, name, path, "application/json")
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(io.LimitReader(answer.Body, maxAnswer+1))
	switch {
	case err != nil:
		return unanswered(name, err)
	case len(body) > maxAnswer:
		return fmt.Errorf("%s answers with more than %d MiB", name, maxAnswer>>20)
	case answer.StatusCode == http.StatusNotFound:
		return fmt.Errorf("%s %w", name, ErrNotFound)
	case !slices.Contains(good, answer.StatusCode):
		return &RefusedError{Service: name, Status: answer.StatusCode, Detail: detail(body)}
	}
	if err := json.Unmarshal(body, target); err != nil {
		return fmt.Errorf("%s answers with something else than expected: %w", name, err)
	}
	return nil
}

func (n *Neighbours) open(ctx context.Context, name, path, accept string) (*http.Response, error) {
	target := strings.TrimSuffix(n.addresses[name].String(), "/") + path
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, target, http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", name, err)
	}
	request.Header.Set("Accept", accept)
	answer, err := n.client.Do(request)
	if err != nil {
		return nil, unanswered(name, err)
	}
	return answer, nil
}

// unanswered keeps of a network error what people want to know of it.
func unanswered(name string, err error) error {
	var failed *net.OpError
	var timeout net.Error
	switch {
	case errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("%s %w within %s", name, ErrUnanswered, Timeout)
	case errors.As(err, &failed):
		return fmt.Errorf("%s %w: %w", name, ErrUnanswered, innermost(failed.Err))
	default:
		return fmt.Errorf("%s %w: %w", name, ErrUnanswered, err)
	}
}

func innermost(err error) error {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err
		}
		err = inner
	}
}

// detail is the text of a problem document (RFC 9457), where the body is one.
func detail(body []byte) string {
	var problem struct {
		Detail string `json:"detail"`
	}
	if json.Unmarshal(body, &problem) != nil {
		return ""
	}
	return problem.Detail
}
