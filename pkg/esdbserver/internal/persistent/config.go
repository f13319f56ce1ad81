package persistent

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"regexp"
	"slices"
	"time"

	"github.com/google/uuid"

	"orderflow/pkg/esdbserver/internal/eventlog"
)

const (
	configStream = "$persistentSubscriptionConfig"
	typeConfig   = "$PersistentConfig"
)

// config is the event that holds the definitions of all groups.
type config struct {
	Version string        `json:"version"`
	Updated time.Time     `json:"updated"`
	Entries []configEntry `json:"entries"`
}

// configEntry is a definition as it is stored. Times are in milliseconds. Begin is this server's own: it settles what
// "the end" was when the group was created, which the original server decides anew at each start.
type configEntry struct {
	Stream             string        `json:"stream"`
	Group              string        `json:"group"`
	StartFrom          int64         `json:"startFrom"`
	StartPosition      string        `json:"startPosition"`
	Begin              int64         `json:"begin"`
	Filter             *configFilter `json:"filter,omitempty"`
	ResolveLinks       bool          `json:"resolveLinkTos"`
	ExtraStatistics    bool          `json:"extraStatistics"`
	MessageTimeout     int64         `json:"messageTimeout"`
	MaxRetryCount      int           `json:"maxRetryCount"`
	CheckpointAfter    int64         `json:"checkPointAfter"`
	MinCheckpointCount int           `json:"minCheckPointCount"`
	MaxCheckpointCount int           `json:"maxCheckPointCount"`
	MaxSubscriberCount int           `json:"maxSubscriberCount"`
	LiveBufferSize     int           `json:"liveBufferSize"`
	HistoryBufferSize  int           `json:"historyBufferSize"`
	ReadBatchSize      int           `json:"readBatchSize"`
	Strategy           string        `json:"namedConsumerStrategy"`
}

type configFilter struct {
	ByType   bool     `json:"byType"`
	Prefixes []string `json:"prefixes,omitempty"`
	Pattern  string   `json:"regex,omitempty"`
}

func entryOf(d Definition) configEntry {
	s := d.Settings
	e := configEntry{
		Stream: d.Stream, Group: d.Group, StartFrom: d.StartFrom, StartPosition: d.PlaceText(d.StartFrom), Begin: d.Begin,
		ResolveLinks: s.ResolveLinks, ExtraStatistics: s.ExtraStatistics,
		MessageTimeout: s.MessageTimeout.Milliseconds(), MaxRetryCount: s.MaxRetryCount,
		CheckpointAfter: s.CheckpointAfter.Milliseconds(), MinCheckpointCount: s.MinCheckpointCount, MaxCheckpointCount: s.MaxCheckpointCount,
		MaxSubscriberCount: s.MaxSubscriberCount,
		LiveBufferSize:     s.LiveBufferSize, HistoryBufferSize: s.HistoryBufferSize, ReadBatchSize: s.ReadBatchSize,
		Strategy: s.Strategy,
	}
	if f := d.Filter; f != nil {
		e.Filter = &configFilter{ByType: f.ByType, Prefixes: f.Prefixes}
		if f.Pattern != nil {
			e.Filter.Pattern = f.Pattern.String()
		}
	}
	return e
}

func (e configEntry) definition() (Definition, error) {
	d := Definition{
		Stream: e.Stream, Group: e.Group, StartFrom: e.StartFrom, Begin: e.Begin,
		Settings: Settings{
			ResolveLinks: e.ResolveLinks, ExtraStatistics: e.ExtraStatistics,
			MessageTimeout: time.Duration(e.MessageTimeout) * time.Millisecond, MaxRetryCount: e.MaxRetryCount,
			CheckpointAfter:    time.Duration(e.CheckpointAfter) * time.Millisecond,
			MinCheckpointCount: e.MinCheckpointCount, MaxCheckpointCount: e.MaxCheckpointCount,
			MaxSubscriberCount: e.MaxSubscriberCount,
			LiveBufferSize:     e.LiveBufferSize, HistoryBufferSize: e.HistoryBufferSize, ReadBatchSize: e.ReadBatchSize,
			Strategy: e.Strategy,
		},
	}
	if f := e.Filter; f != nil {
		d.Filter = &eventlog.Filter{ByType: f.ByType, Prefixes: f.Prefixes}
		if f.Pattern != "" {
			var err error
			if d.Filter.Pattern, err = regexp.Compile(f.Pattern); err != nil {
				return d, err
			}
		}
	}
	return d, d.validate()
}

// loadDefinitions reads the last set of definitions that makes sense. The stream is open to everybody who may write to
// it: what makes no sense is logged and passed over.
func loadDefinitions(ctx context.Context, log *eventlog.Log, logger *slog.Logger) ([]Definition, error) {
	page, err := log.ReadStream(ctx, configStream, math.MaxInt64, true, math.MaxInt32)
	if err != nil {
		return nil, fmt.Errorf("read the definitions of persistent subscriptions: %w", err)
	}
	for _, e := range page.Events {
		var c config
		if err := json.Unmarshal(e.Data, &c); err != nil || e.Type != typeConfig {
			logger.Warn("an event among the definitions of persistent subscriptions is none", "revision", e.Revision, "type", e.Type, "error", err)
			continue
		}
		var definitions []Definition
		for _, entry := range c.Entries {
			d, err := entry.definition()
			if err != nil {
				logger.Error("a persistent subscription is not started", "subscription", d.Key(), "error", err)
				continue
			}
			definitions = append(definitions, d)
		}
		return definitions, nil
	}
	return nil, nil
}

// saveDefinitions appends the whole set, ordered by key.
func saveDefinitions(ctx context.Context, log *eventlog.Log, now time.Time, definitions map[string]Definition) error {
	c := config{Version: "2", Updated: now.UTC(), Entries: []configEntry{}}
	for _, key := range slices.Sorted(maps.Keys(definitions)) {
		c.Entries = append(c.Entries, entryOf(definitions[key]))
	}
	data, err := json.Marshal(c)
	if err != nil {
		return err
	}
	stream, err := log.Stream(ctx, configStream)
	if err != nil {
		return err
	}
	if !stream.Found() {
		if err := keepTwo(ctx, log, configStream); err != nil {
			return err
		}
	}
	_, err = log.Append(ctx, configStream, eventlog.Any, []eventlog.Proposed{{ID: uuid.New(), Type: typeConfig, JSON: true, Data: data}})
	if err != nil {
		return fmt.Errorf("write the definitions of persistent subscriptions: %w", err)
	}
	return nil
}
