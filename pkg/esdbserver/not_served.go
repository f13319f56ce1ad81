package esdbserver

import (
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
)

// notServed answers the calls to all services that are not registered, and says what to do instead.
func (s *Server) notServed(_ any, stream grpc.ServerStream) error {
	method, _ := grpc.MethodFromServerStream(stream)
	service, _, _ := strings.Cut(strings.TrimPrefix(method, "/"), "/")
	var advice string
	switch service {
	case "event_store.client.projections.Projections":
		advice = "projections cannot be managed; the system projections ($ce-, $et-, ...) are switched on where the server is started"
	case "event_store.client.users.Users":
		advice = "users cannot be managed; who may do what is decided where the server is started"
	case "event_store.client.operations.Operations":
		advice = "the server is stopped and maintained where it runs, not over the network"
	case "event_store.client.monitoring.Monitoring":
		advice = "there are no statistics; GET /health/live on the same port says whether the server is ready"
	default:
		served := slices.Sorted(maps.Keys(s.grpc.GetServiceInfo()))
		advice = "this server speaks " + strings.Join(served, ", ")
	}
	return status.Errorf(codes.Unimplemented, "%s is not served: %s", method, advice)
}

// explainMisses answers requests for paths and methods that mux does not know with a sentence.
func explainMisses(mux *http.ServeMux) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, pattern := mux.Handler(r); pattern != "" {
			mux.ServeHTTP(w, r)
			return
		}
		var allowed []string
		for _, method := range []string{http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodDelete} {
			other := r.Clone(r.Context())
			other.Method = method
			if _, pattern := mux.Handler(other); pattern != "" {
				allowed = append(allowed, method)
			}
		}
		if len(allowed) > 0 {
			methods := strings.Join(allowed, ", ")
			w.Header().Set("Allow", methods)
			httpError(w, http.StatusMethodNotAllowed, fmt.Sprintf("%s is answered to %s only.", r.URL.Path, methods))
			return
		}
		httpError(w, http.StatusNotFound, fmt.Sprintf(
			"There is nothing at %s: events are read and written over gRPC on this port, and /health/live, /info and /gossip tell of the server.", r.URL.Path))
	})
}

func httpError(w http.ResponseWriter, code int, text string) {
	w.Header().Set("Content-Type", contentTypeJSON)
	w.WriteHeader(code)
	writeBody(w, map[string]string{"error": text})
}
