package esdbserver

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"strconv"
	"time"
)

const contentTypeJSON = "application/json; charset=utf-8"

// newHTTP makes the small HTTP/1.1 surface beside gRPC, for probes and for people.
func (s *Server) newHTTP() *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health/live", s.handleLive)
	mux.HandleFunc("GET /info", s.handleInfo)
	mux.HandleFunc("GET /gossip", s.handleGossip)
	s.handlePersistent(mux)
	handler := explainMisses(mux)
	if s.security != nil {
		handler = s.authenticateHTTP(handler)
	}
	return &http.Server{
		Handler: handler, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute,
		ErrorLog: slog.NewLogLogger(s.config.Logger.Handler(), slog.LevelWarn),
	}
}

// handleLive answers 204 when the server is ready, or the status that the caller asks for with liveCode. A server whose
// disk has failed is not: it has to be started again before it takes another write.
func (s *Server) handleLive(w http.ResponseWriter, r *http.Request) {
	if !s.ready.Load() || s.log.Writable() != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	code := http.StatusNoContent
	if text := r.URL.Query().Get("liveCode"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 200 || n > 599 {
			httpError(w, http.StatusBadRequest, "liveCode is no HTTP status.")
			return
		}
		code = n
	}
	w.WriteHeader(code)
}

func (s *Server) handleInfo(w http.ResponseWriter, _ *http.Request) {
	authentication := "insecure"
	if s.security != nil {
		authentication = "internal" // users are kept in the store itself
	}
	writeJSON(w, map[string]any{
		"dbVersion": Version,
		"esVersion": Version,
		"state":     "leader",
		"features":  map[string]bool{"projections": s.config.SystemProjections, "userManagement": false, "atomPub": false},
		"authentication": map[string]any{
			"type": authentication, "properties": map[string]string{},
		},
	})
}

func writeJSON(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", contentTypeJSON)
	writeBody(w, body)
}

func writeBody(w http.ResponseWriter, body any) {
	_ = json.NewEncoder(w).Encode(body) // the client has gone
}
