package esdbserver

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"orderflow/pkg/esdbserver/internal/persistent"
)

// handlePersistent adds the management of persistent subscriptions that clients use when they do not find it in gRPC.
func (s *Server) handlePersistent(mux *http.ServeMux) {
	mux.HandleFunc("GET /subscriptions", s.allowed(toInspectGroups, s.handlePersistentList))
	mux.HandleFunc("GET /subscriptions/{stream}", s.allowed(toInspectGroups, s.handlePersistentList))
	mux.HandleFunc("GET /subscriptions/{stream}/{group}/info", s.allowed(toInspectGroups, s.handlePersistentInfo))
	mux.HandleFunc("POST /subscriptions/{stream}/{group}/replayParked", s.allowed(toManageGroups, s.handlePersistentReplay))
	mux.HandleFunc("POST /subscriptions/restart", s.allowed(toManageGroups, s.handlePersistentRestart))
}

// allowed lets through who may do something with persistent subscriptions. Others get 401, known or not: it is what
// clients take for a lack of rights.
func (s *Server) allowed(do access, handler http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if err := s.authorize(r.Context(), do, r.PathValue("stream")); err != nil {
			s.failPersistent(w, err)
			return
		}
		handler(w, r)
	}
}

// handlePersistentList lists the groups of a stream, or all when the path names none.
func (s *Server) handlePersistentList(w http.ResponseWriter, r *http.Request) {
	infos, err := s.persistent.List(r.Context(), r.PathValue("stream"))
	if err != nil {
		s.failPersistent(w, err)
		return
	}
	bodies := make([]persistentBody, 0, len(infos))
	for _, info := range infos {
		bodies = append(bodies, bodyOf(info))
	}
	writeJSON(w, bodies)
}

func (s *Server) handlePersistentInfo(w http.ResponseWriter, r *http.Request) {
	info, err := s.persistent.Info(r.Context(), r.PathValue("stream"), r.PathValue("group"))
	if err != nil {
		s.failPersistent(w, err)
		return
	}
	writeJSON(w, bodyOf(info))
}

func (s *Server) handlePersistentReplay(w http.ResponseWriter, r *http.Request) {
	stopAt := persistent.NoLimit
	if text := r.URL.Query().Get("stopAt"); text != "" {
		var err error
		if stopAt, err = strconv.ParseInt(text, 10, 64); err != nil || stopAt < 0 {
			w.WriteHeader(http.StatusBadRequest)
			return
		}
	}
	if err := s.persistent.Replay(r.Context(), r.PathValue("stream"), r.PathValue("group"), stopAt); err != nil {
		s.failPersistent(w, err)
		return
	}
	writeJSON(w, map[string]string{
		"correlationId": "", "reason": "", "result": "Success", "msgTypeId": fmt.Sprint(http.StatusOK),
	})
}

func (s *Server) handlePersistentRestart(w http.ResponseWriter, r *http.Request) {
	if err := s.persistent.Restart(context.WithoutCancel(r.Context())); err != nil {
		s.failPersistent(w, err)
		return
	}
	writeJSON(w, "Restarting")
}

// failPersistent answers with a status and no more: the Go client never reads, nor closes, the body of an error, and would
// lose the connection with it.
func (s *Server) failPersistent(w http.ResponseWriter, err error) {
	var denied *refusal
	switch {
	case errors.As(err, &denied):
		askForCredentials(w)
	case errors.Is(err, persistent.ErrNotFound):
		w.WriteHeader(http.StatusNotFound)
	case errors.Is(err, persistent.ErrClosed):
		w.WriteHeader(http.StatusServiceUnavailable)
	default:
		s.config.Logger.Error("a request about persistent subscriptions failed", "error", err)
		w.WriteHeader(http.StatusInternalServerError)
	}
}

// persistentBody is a group in JSON, under the names that clients look for.
type persistentBody struct {
	Stream               string                 `json:"eventStreamId"`
	Group                string                 `json:"groupName"`
	Status               string                 `json:"status"`
	PerSecond            float64                `json:"averageItemsPerSecond"`
	Total                int64                  `json:"totalItemsProcessed"`
	SinceLast            int64                  `json:"countSinceLastMeasurement"`
	LastProcessed        int64                  `json:"lastProcessedEventNumber"`
	LastKnown            int64                  `json:"lastKnownEventNumber"`
	CheckpointedPosition string                 `json:"lastCheckpointedEventPosition,omitempty"`
	LastKnownPosition    string                 `json:"lastKnownEventPosition,omitempty"`
	ConnectionCount      int                    `json:"connectionCount"`
	InFlight             int                    `json:"totalInFlightMessages"`
	ReadBuffer           int                    `json:"readBufferCount"`
	LiveBuffer           int                    `json:"liveBufferCount"`
	RetryBuffer          int                    `json:"retryBufferCount"`
	Outstanding          int                    `json:"outstandingMessagesCount"`
	Parked               int64                  `json:"parkedMessageCount"`
	Config               persistentConfigBody   `json:"config"`
	Connections          []persistentConnection `json:"connections"`
}

// persistentConfigBody has the strategy twice: the original server calls it one way, the Go client looks for the other.
type persistentConfigBody struct {
	ResolveLinks       bool   `json:"resolveLinktos"`
	StartFrom          int64  `json:"startFrom"`
	StartPosition      string `json:"startPosition,omitempty"`
	MessageTimeout     int64  `json:"messageTimeoutMilliseconds"`
	ExtraStatistics    bool   `json:"extraStatistics"`
	MaxRetryCount      int    `json:"maxRetryCount"`
	LiveBufferSize     int    `json:"liveBufferSize"`
	HistoryBufferSize  int    `json:"bufferSize"`
	ReadBatchSize      int    `json:"readBatchSize"`
	PreferRoundRobin   bool   `json:"preferRoundRobin"`
	CheckpointAfter    int64  `json:"checkPointAfterMilliseconds"`
	MinCheckpointCount int    `json:"minCheckPointCount"`
	MaxCheckpointCount int    `json:"maxCheckPointCount"`
	MaxSubscriberCount int    `json:"maxSubscriberCount"`
	Strategy           string `json:"namedConsumerStrategy"`
	StrategyForClient  string `json:"consumerStrategyName"`
}

type persistentConnection struct {
	From           string              `json:"from"`
	User           string              `json:"username"`
	PerSecond      float64             `json:"averageItemsPerSecond"`
	Total          int64               `json:"totalItemsProcessed"`
	SinceLast      int64               `json:"countSinceLastMeasurement"`
	Statistics     []persistentLatency `json:"extraStatistics"`
	Slots          int                 `json:"availableSlots"`
	InFlight       int                 `json:"inFlightMessages"`
	ConnectionName string              `json:"connectionName"`
}

type persistentLatency struct {
	Key   string `json:"key"`
	Value int64  `json:"value"`
}

func bodyOf(info persistent.Info) persistentBody {
	d, s := info.Definition, info.Definition.Settings
	body := persistentBody{
		Stream: d.Stream, Group: d.Group, Status: statusText(info),
		PerSecond: info.Measured.PerSecond, Total: info.Measured.Total, SinceLast: info.Measured.SinceLast,
		LastProcessed: info.Checkpointed, LastKnown: info.LastKnown,
		CheckpointedPosition: placeText(d, info.Checkpointed), LastKnownPosition: placeText(d, info.LastKnown),
		ConnectionCount: len(info.Consumers), InFlight: info.InFlight,
		ReadBuffer: info.HistoryBuffer, LiveBuffer: info.LiveBuffer, RetryBuffer: info.RetryBuffer,
		Outstanding: info.Outstanding, Parked: info.Parked,
		Config: persistentConfigBody{
			ResolveLinks: s.ResolveLinks, StartFrom: d.StartFrom, StartPosition: d.PlaceText(d.StartFrom),
			MessageTimeout: s.MessageTimeout.Milliseconds(), ExtraStatistics: s.ExtraStatistics, MaxRetryCount: s.MaxRetryCount,
			LiveBufferSize: s.LiveBufferSize, HistoryBufferSize: s.HistoryBufferSize, ReadBatchSize: s.ReadBatchSize,
			PreferRoundRobin: s.Strategy == persistent.RoundRobin,
			CheckpointAfter:  s.CheckpointAfter.Milliseconds(), MinCheckpointCount: s.MinCheckpointCount, MaxCheckpointCount: s.MaxCheckpointCount,
			MaxSubscriberCount: s.MaxSubscriberCount, Strategy: s.Strategy, StrategyForClient: s.Strategy,
		},
		Connections: []persistentConnection{},
	}
	for _, c := range info.Consumers {
		connection := persistentConnection{
			From: c.Peer.Address, User: c.Peer.User, ConnectionName: c.Peer.ConnectionName,
			PerSecond: c.Measured.PerSecond, Total: c.Measured.Total, SinceLast: c.Measured.SinceLast,
			Slots: c.Slots, InFlight: c.InFlight, Statistics: []persistentLatency{},
		}
		for _, l := range c.Latencies {
			connection.Statistics = append(connection.Statistics, persistentLatency{Key: l.Name, Value: l.Value})
		}
		body.Connections = append(body.Connections, connection)
	}
	return body
}
