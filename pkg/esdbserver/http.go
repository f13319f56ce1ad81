package esdbserver

import (
	"encoding/json"
	"net"
	"net/http"
	"strconv"
	"time"
)

// newHTTP makes the small HTTP/1.1 surface beside gRPC, for probes and for people.
func (s *Server) newHTTP() *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /health/live", s.handleLive)
	mux.HandleFunc("GET /info", s.handleInfo)
	mux.HandleFunc("GET /gossip", s.handleGossip)
	return &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second, IdleTimeout: time.Minute}
}

// handleLive answers 204 when the server is ready, or the status that the caller asks for with liveCode.
func (s *Server) handleLive(w http.ResponseWriter, r *http.Request) {
	if !s.ready.Load() {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	code := http.StatusNoContent
	if text := r.URL.Query().Get("liveCode"); text != "" {
		n, err := strconv.Atoi(text)
		if err != nil || n < 200 || n > 599 {
			http.Error(w, "liveCode is no HTTP status", http.StatusBadRequest)
			return
		}
		code = n
	}
	w.WriteHeader(code)
}

func (s *Server) handleInfo(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, map[string]any{
		"dbVersion": Version,
		"esVersion": Version,
		"state":     "leader",
		"features":  map[string]bool{"projections": false, "userManagement": false, "atomPub": false},
		"authentication": map[string]any{
			"type": "insecure", "properties": map[string]string{},
		},
	})
}

func (s *Server) handleGossip(w http.ResponseWriter, r *http.Request) {
	local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	at := advertised(local)
	writeJSON(w, map[string]any{
		"members": []map[string]any{{
			"instanceId":       s.id.String(),
			"timeStamp":        s.config.Now().UTC(),
			"state":            "Leader",
			"isAlive":          true,
			"httpEndPointIp":   at.Addr().String(),
			"httpEndPointPort": at.Port(),
		}},
		"serverIp":   at.Addr().String(),
		"serverPort": at.Port(),
	})
}

func writeJSON(w http.ResponseWriter, body any) {
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	_ = json.NewEncoder(w).Encode(body) // the client has gone
}
