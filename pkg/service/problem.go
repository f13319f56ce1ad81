package service

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"orderflow/pkg/es"
	"orderflow/pkg/sqldb"
)

// Problem is a problem document (RFC 9457) and the error that becomes one.
type Problem struct {
	// Type is urn:orderflow:problem:<code>; programs tell problems apart by it.
	Type   string `json:"type"`
	Title  string `json:"title"`
	Status int    `json:"status"`
	// Detail is for people.
	Detail string `json:"detail,omitempty"`
	// Errors name the fields at fault.
	Errors []FieldError `json:"errors,omitempty"`

	headers http.Header
}

// FieldError names a part of the request that is at fault, as in
// body.lines[0].quantity.
type FieldError struct {
	Location string `json:"location"`
	Message  string `json:"message"`
}

const (
	problemPrefix = "urn:orderflow:problem:"
	problemType   = "application/problem+json"
)

// NewProblem returns the problem with a status, a code in kebab-case, and a
// text for people.
func NewProblem(status int, code, detail string, fields ...FieldError) *Problem {
	return &Problem{
		Type: problemPrefix + code, Title: http.StatusText(status), Status: status, Detail: detail, Errors: fields,
		headers: http.Header{},
	}
}

// RetryAfter adds the header of that name, in seconds.
func (p *Problem) RetryAfter(seconds string) *Problem {
	p.headers.Set("Retry-After", seconds)
	return p
}

// Error is the problem in one line.
func (p *Problem) Error() string {
	return strings.TrimPrefix(p.Type, problemPrefix) + ": " + p.Detail
}

// GetStatus returns the status. With GetHeaders and ContentType it is what huma
// asks of an error.
func (p *Problem) GetStatus() int { return p.Status }

// GetHeaders returns the headers that go with the problem.
func (p *Problem) GetHeaders() http.Header { return p.headers }

// ContentType turns the type of the answer into that of a problem document.
func (p *Problem) ContentType(string) string { return problemType }

func (p *Problem) write(w http.ResponseWriter) {
	for name, values := range p.headers {
		w.Header()[name] = values
	}
	w.Header().Set("Content-Type", problemType)
	w.WriteHeader(p.Status)
	_ = json.NewEncoder(w).Encode(p) // nobody left to tell
}

// NotFound is the problem of an id that nobody has.
func NotFound(what, id string) *Problem {
	return NewProblem(http.StatusNotFound, "not-found", "there is no "+what+" "+id)
}

// TranslateErrors sets the one function that turns the service's own errors
// into problems. It returns nil for errors that are none of its business.
func (s *Service) TranslateErrors(translate func(error) error) { s.translate = translate }

// problem is where every error of a handler ends: as a problem that the service
// declares, as one of the kit's, or in the log, with a generic text for the
// client.
func (s *Service) problem(ctx context.Context, err error) error {
	var problem *Problem
	if errors.As(err, &problem) {
		return problem
	}
	if s.translate != nil {
		if translated := s.translate(err); translated != nil {
			return translated
		}
	}
	switch {
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		s.Log.DebugContext(ctx, "request abandoned by its client", "error", err, "trace", traceOf(ctx))
		return NewProblem(http.StatusServiceUnavailable, "abandoned", "the request was abandoned")
	case errors.Is(err, es.ErrStale):
		return NewProblem(http.StatusPreconditionFailed, "stale", "the resource has changed since the version in If-Match")
	case errors.Is(err, es.ErrContended):
		return NewProblem(http.StatusConflict, "contended", "too many writers at once; try again").RetryAfter("1")
	case errors.Is(err, es.ErrUnavailable), sqldb.IsUnavailable(err), errors.Is(err, context.DeadlineExceeded):
		s.Log.WarnContext(ctx, "request not carried out", "error", err, "trace", traceOf(ctx))
		return NewProblem(http.StatusServiceUnavailable, "unavailable",
			"a server this needs does not answer; whether a change was made is unknown, repeating the request is safe").RetryAfter("1")
	default:
		return s.unexpected(ctx, err)
	}
}

// unexpected keeps what nobody foresaw in the log and tells the client where.
func (s *Service) unexpected(ctx context.Context, err error) *Problem {
	s.Log.ErrorContext(ctx, "request failed", "error", err, "trace", traceOf(ctx))
	return NewProblem(http.StatusInternalServerError, "internal", "something went wrong; the log has it as "+traceOf(ctx))
}

// codes of the problems that are found before a handler is asked.
func codeOf(status int) string {
	switch status {
	case http.StatusBadRequest:
		return "malformed-body"
	case http.StatusRequestEntityTooLarge:
		return "body-too-large"
	case http.StatusUnsupportedMediaType:
		return "unsupported-media-type"
	case http.StatusUnprocessableEntity:
		return "invalid-request"
	default:
		return strings.ReplaceAll(strings.ToLower(http.StatusText(status)), " ", "-")
	}
}

// asProblem turns the framework's own errors into ours. The values sent are not
// echoed: they may be somebody's personal data.
func asProblem(_ huma.Context, _ string, v any) (any, error) {
	model, ok := v.(*huma.ErrorModel)
	if !ok {
		return v, nil
	}
	problem := NewProblem(model.Status, codeOf(model.Status), model.Detail)
	for _, detail := range model.Errors {
		if detail != nil {
			problem.Errors = append(problem.Errors, FieldError{Location: detail.Location, Message: withoutValue(detail.Message)})
		}
	}
	switch {
	case model.Status == http.StatusRequestEntityTooLarge:
		problem.Detail = fmt.Sprintf("the body is larger than %d bytes", maxBody)
	case model.Status >= http.StatusInternalServerError:
		problem.Detail, problem.Errors = "something went wrong", nil
	}
	return problem, nil
}

// withoutValue cuts off what a parser has to say after the framework's own
// words, because it quotes what it was given.
func withoutValue(message string) string {
	for _, form := range []string{"expected string to be RFC ", "expected string to be regex", "expected duration"} {
		if strings.HasPrefix(message, form) {
			message, _, _ = strings.Cut(message, ": ")
		}
	}
	return message
}
