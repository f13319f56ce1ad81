package service

import (
	"context"
	"net/http"
	"reflect"
	"strings"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humachi"
	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
)

const (
	// maxBody is the largest request body, in bytes.
	maxBody = 1 << 20
	// maxRequest is how long a request may take; streams are exempt.
	maxRequest = 10 * time.Second
)

func (s *Service) newAPI() (chi.Router, huma.API) {
	router := chi.NewRouter()
	router.Use(limitBody, s.measure, withCause, s.recoverPanics, withConditions, middleware.GetHead)
	router.NotFound(func(w http.ResponseWriter, r *http.Request) {
		NewProblem(http.StatusNotFound, "not-found", "there is nothing at "+r.URL.Path).write(w)
	})
	router.MethodNotAllowed(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Allow", strings.Join(allowed(router, r.URL.Path), ", "))
		NewProblem(http.StatusMethodNotAllowed, "method-not-allowed", r.Method+" is not possible here").write(w)
	})
	router.Get("/livez", livez)
	router.Get("/readyz", s.readyz)
	router.Get("/metrics", s.metricsHandler())
	router.Get("/docs", docsPage)
	router.Get("/docs.js", docsScript)

	config := huma.DefaultConfig("orderflow "+s.name, "1")
	config.CreateHooks = nil // no $schema in bodies: they are exactly what is written down
	config.DocsPath, config.SchemasPath = "", ""
	config.RejectUnknownQueryParameters = true
	config.Transformers = append(config.Transformers, asProblem)
	return router, humachi.New(router, config)
}

// methods are the ones that a path can have.
func methods() []string {
	return []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete}
}

// allowed lists the methods that a path has.
func allowed(router chi.Router, path string) []string {
	var found []string
	for _, method := range methods() {
		if router.Match(chi.NewRouteContext(), method, path) ||
			method == http.MethodHead && router.Match(chi.NewRouteContext(), http.MethodGet, path) {
			found = append(found, method)
		}
	}
	return found
}

// Get adds a reading operation.
func Get[I, O any](s *Service, path, summary string, handler func(context.Context, *I) (*O, error)) {
	register(s, s.operation(http.MethodGet, path, summary, http.StatusOK), handler)
}

// Create adds an operation that answers 201.
func Create[I, O any](s *Service, path, summary string, handler func(context.Context, *I) (*O, error)) {
	register(s, s.operation(http.MethodPost, path, summary, http.StatusCreated), handler)
}

// Post adds a command that answers 200 with what it changed.
func Post[I, O any](s *Service, path, summary string, handler func(context.Context, *I) (*O, error)) {
	register(s, s.operation(http.MethodPost, path, summary, http.StatusOK), handler)
}

// Put adds a replacement that answers 200 with what it changed.
func Put[I, O any](s *Service, path, summary string, handler func(context.Context, *I) (*O, error)) {
	register(s, s.operation(http.MethodPut, path, summary, http.StatusOK), handler)
}

// Delete adds a removal that answers 204.
func Delete[I, O any](s *Service, path, summary string, handler func(context.Context, *I) (*O, error)) {
	register(s, s.operation(http.MethodDelete, path, summary, http.StatusNoContent), handler)
}

// operation describes an operation to the framework.
func (s *Service) operation(method, path, summary string, status int) huma.Operation {
	return huma.Operation{
		OperationID:   operationID(method, path),
		Method:        method,
		Path:          path,
		Summary:       summary,
		DefaultStatus: status,
		MaxBodyBytes:  maxBody + 1, // huma refuses a body of exactly its limit
		Responses:     map[string]*huma.Response{"default": s.problemResponse()},
	}
}

func register[I, O any](s *Service, operation huma.Operation, handler func(context.Context, *I) (*O, error)) {
	huma.Register(s.API, operation, func(ctx context.Context, input *I) (*O, error) {
		s.requests.begin()
		defer s.requests.end()
		if s.start.check(ctx) != nil {
			return nil, NewProblem(http.StatusServiceUnavailable, "starting", "the service is starting; /readyz says what it waits for").
				RetryAfter("1")
		}
		ctx, cancel := context.WithTimeout(ctx, maxRequest)
		defer cancel()
		output, err := handler(ctx, input)
		if err != nil {
			return nil, s.problem(ctx, err)
		}
		return output, nil
	})
}

// operationID is get-orders-orderId for GET /orders/{orderId}.
func operationID(method, path string) string {
	words := strings.FieldsFunc(path, func(r rune) bool { return strings.ContainsRune("/{}", r) })
	return strings.Join(append([]string{strings.ToLower(method)}, words...), "-")
}

// problemResponse is how the description shows every error.
func (s *Service) problemResponse() *huma.Response {
	schema := s.API.OpenAPI().Components.Schemas.Schema(reflect.TypeFor[Problem](), true, "Problem")
	return &huma.Response{
		Description: "a problem document (RFC 9457)",
		Content:     map[string]*huma.MediaType{problemType: {Schema: schema}},
	}
}
