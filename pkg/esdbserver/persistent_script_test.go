package esdbserver_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/status"

	"orderflow/pkg/esdbserver/esdbservertest"
)

// A groupScript is a script about the group "g" on the stream "s" (or on $all) and its consumers, in words. Beside the
// lines of a script it knows:
//
//	create start max-checkpoint=1      start, end, a revision, or all start, ...; settings that differ from the default
//	update 3 retries=2
//	remove                             deletes the group
//	A connects 5                       a consumer with a buffer of 5
//	A gets a b(1) s/2->c               events in order; (1) is the retry count, s/2->c is c by a link at revision 2 of s
//	A acks a b                         or retries, parks, skips, stops, "does not know about"
//	A leaves
//	A is dropped Canceled
//	advance 31s                        the clock, which stands still otherwise
//	replay                             or "replay 2", which stops there
//	link 0@s                           a link in the stream "links"
//	wait parked 2                      until a number of the group's info is this; or checkpoint, in-flight, status, ...
type groupScript struct {
	*script
	all       bool
	source    string
	consumers map[string]*consumer
}

type consumer struct {
	*esdb.PersistentSubscription
	got map[string]*esdb.ResolvedEvent // by word, as it came last
}

var scriptEpoch = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func newGroupScript(t testing.TB, options ...esdbservertest.Option) *groupScript {
	t.Helper()
	s := newScript(t, options...)
	s.store.SetClock(scriptEpoch)
	return &groupScript{script: s, source: "s", consumers: map[string]*consumer{}}
}

// run runs lines, each of which must succeed.
func (s *groupScript) run(lines ...string) {
	s.t.Helper()
	for _, line := range lines {
		words := strings.Fields(line)
		if len(words) > 1 && len(words[0]) == 1 && words[0] >= "A" && words[0] <= "Z" {
			s.consumer(line, words[0], words[1], words[2:])
			continue
		}
		var err error
		switch words[0] {
		case "create":
			err = s.create(words[1:])
		case "update":
			err = s.update(words[1:])
		case "remove":
			err = s.remove()
		case "replay":
			err = s.replay(words[1:])
		case "advance":
			d, bad := time.ParseDuration(words[1])
			if err = bad; err == nil {
				s.store.Advance(d)
			}
		case "link":
			_, err = s.client.AppendToStream(withPatience(s.t), "links", esdb.AppendToStreamOptions{},
				esdb.EventData{EventType: "$>", ContentType: esdb.ContentTypeBinary, Data: []byte(words[1])})
		case "wait":
			s.wait(line, words[1], strings.Join(words[2:], " "))
		case "restart-subsystem":
			err = s.client.RestartPersistentSubscriptionSubsystem(withPatience(s.t), esdb.RestartPersistentSubscriptionSubsystemOptions{})
		default:
			if outcome := s.do(line); strings.Contains(outcome, " version") || strings.Contains(outcome, "error") {
				err = errors.New(outcome)
			}
		}
		if err != nil {
			s.t.Fatalf("%s: %v", line, err)
		}
	}
}

func groupSettings(t testing.TB, words []string) *esdb.PersistentSubscriptionSettings {
	settings := esdb.SubscriptionSettingsDefault()
	for _, word := range words {
		name, text, _ := strings.Cut(word, "=")
		n, _ := strconv.Atoi(text)
		field := map[string]*int32{
			"retries": &settings.MaxRetryCount, "timeout": &settings.MessageTimeout,
			"min-checkpoint": &settings.CheckpointLowerBound, "max-checkpoint": &settings.CheckpointUpperBound, "checkpoint-after": &settings.CheckpointAfter,
			"subscribers": &settings.MaxSubscriberCount,
			"live":        &settings.LiveBufferSize, "history": &settings.HistoryBufferSize, "batch": &settings.ReadBatchSize,
		}[name]
		switch {
		case field != nil:
			*field = int32(n)
		case name == "strategy":
			settings.ConsumerStrategyName = esdb.ConsumerStrategy(text)
		case name == "resolve":
			settings.ResolveLinkTos = true
		case name == "statistics":
			settings.ExtraStatistics = true
		default:
			t.Fatalf("no such setting: %s", word)
		}
	}
	return &settings
}

func groupStart(t testing.TB, word string) esdb.StreamPosition {
	switch word {
	case "start":
		return esdb.Start{}
	case "end":
		return esdb.End{}
	}
	n, err := strconv.ParseUint(word, 10, 64)
	if err != nil {
		t.Fatalf("no such start: %s", word)
	}
	return esdb.Revision(n)
}

func (s *groupScript) create(words []string) error {
	if strings.HasPrefix(words[0], "on=") {
		s.source, words = words[0][3:], words[1:]
	}
	if words[0] == "all" {
		s.all = true
		options := esdb.PersistentAllSubscriptionOptions{StartFrom: esdb.Start{}, Settings: groupSettings(s.t, nil)}
		if words[1] == "end" {
			options.StartFrom = esdb.End{}
		}
		if len(words) > 2 {
			if prefixes, found := strings.CutPrefix(words[2], "types="); found {
				options.Filter = prefix(prefixes)
			} else if pattern, found := strings.CutPrefix(words[2], "streams~"); found {
				options.Filter = &esdb.SubscriptionFilter{Type: esdb.StreamFilterType, Regex: pattern}
			}
			options.Settings = groupSettings(s.t, words[3:])
		}
		return s.client.CreatePersistentSubscriptionToAll(withPatience(s.t), "g", options)
	}
	return s.client.CreatePersistentSubscription(withPatience(s.t), s.source, "g", esdb.PersistentStreamSubscriptionOptions{
		StartFrom: groupStart(s.t, words[0]), Settings: groupSettings(s.t, words[1:]),
	})
}

func (s *groupScript) update(words []string) error {
	if s.all {
		return s.client.UpdatePersistentSubscriptionToAll(withPatience(s.t), "g", esdb.PersistentAllSubscriptionOptions{
			StartFrom: esdb.Start{}, Settings: groupSettings(s.t, words[1:]),
		})
	}
	return s.client.UpdatePersistentSubscription(withPatience(s.t), s.source, "g", esdb.PersistentStreamSubscriptionOptions{
		StartFrom: groupStart(s.t, words[0]), Settings: groupSettings(s.t, words[1:]),
	})
}

func (s *groupScript) remove() error {
	if s.all {
		return s.client.DeletePersistentSubscriptionToAll(withPatience(s.t), "g", esdb.DeletePersistentSubscriptionOptions{})
	}
	return s.client.DeletePersistentSubscription(withPatience(s.t), s.source, "g", esdb.DeletePersistentSubscriptionOptions{})
}

func (s *groupScript) replay(words []string) error {
	options := esdb.ReplayParkedMessagesOptions{}
	if len(words) > 0 {
		options.StopAt, _ = strconv.Atoi(words[0])
	}
	if s.all {
		return s.client.ReplayParkedMessagesToAll(withPatience(s.t), "g", options)
	}
	return s.client.ReplayParkedMessages(withPatience(s.t), s.source, "g", options)
}

func (s *groupScript) info() *esdb.PersistentSubscriptionInfo {
	s.t.Helper()
	get := func() (*esdb.PersistentSubscriptionInfo, error) {
		if s.all {
			return s.client.GetPersistentSubscriptionInfoToAll(withPatience(s.t), "g", esdb.GetPersistentSubscriptionOptions{})
		}
		return s.client.GetPersistentSubscriptionInfo(withPatience(s.t), s.source, "g", esdb.GetPersistentSubscriptionOptions{})
	}
	info, err := get()
	if err != nil {
		s.t.Fatalf("info: %v", err)
	}
	return info
}

// parkedStream is where the group parks.
func (s *groupScript) parkedStream() string {
	if s.all {
		return "$persistentsubscription-$all::g-parked"
	}
	return "$persistentsubscription-" + s.source + "::g-parked"
}

func (s *groupScript) number(what string) string {
	stats := s.info().Stats
	switch what {
	case "parked":
		return fmt.Sprint(stats.ParkedMessagesCount)
	case "links": // in the parked stream
		return fmt.Sprint(len(s.store.Events(s.t, s.parkedStream())))
	case "in-flight":
		return fmt.Sprint(stats.TotalInFlightMessages)
	case "done":
		return fmt.Sprint(stats.TotalItems)
	case "buffered":
		return fmt.Sprint(stats.LiveBufferCount + stats.ReadBufferCount + stats.RetryBufferCount)
	case "status":
		return s.info().Status
	case "checkpoint":
		if at := stats.LastCheckpointedPosition; at != nil {
			for _, e := range s.store.All(s.t) {
				if e.Position == *at {
					return e.EventType
				}
			}
		}
		if stats.LastCheckpointedEventRevision == nil {
			return "none"
		}
		return fmt.Sprint(*stats.LastCheckpointedEventRevision)
	}
	s.t.Fatalf("no such number: %s", what)
	return ""
}

// wait asks until the answer is as wanted.
func (s *groupScript) wait(line, what, want string) {
	s.t.Helper()
	got := ""
	for ctx := withPatience(s.t); ctx.Err() == nil; {
		if got = s.number(what); got == want {
			return
		}
	}
	s.t.Fatalf("%s: it stays %s", line, got)
}

func (s *groupScript) connect(name string, buffer int) error {
	var (
		subscription *esdb.PersistentSubscription
		err          error
		options      = esdb.SubscribeToPersistentSubscriptionOptions{BufferSize: uint32(buffer)}
	)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	s.t.Cleanup(cancel)
	if s.all {
		subscription, err = s.client.SubscribeToPersistentSubscriptionToAll(ctx, "g", options)
	} else {
		subscription, err = s.client.SubscribeToPersistentSubscription(ctx, s.source, "g", options)
	}
	if err != nil {
		return err
	}
	s.t.Cleanup(func() { subscription.Close() })
	s.consumers[name] = &consumer{PersistentSubscription: subscription, got: map[string]*esdb.ResolvedEvent{}}
	return nil
}

func (s *groupScript) consumer(line, name, verb string, words []string) {
	s.t.Helper()
	if verb == "connects" {
		buffer, _ := strconv.Atoi(words[0])
		if err := s.connect(name, buffer); err != nil {
			s.t.Fatalf("%s: %v", line, err)
		}
		return
	}
	c := s.consumers[name]
	var err error
	switch verb {
	case "gets":
		for i, want := range words {
			if got := c.receive(); got != want {
				s.t.Fatalf("%s: number %d is %s", line, i+1, got)
			}
		}
	case "is": // dropped
		message := c.Recv()
		for message.EventAppeared != nil {
			message = c.Recv()
		}
		if got := status.Code(message.SubscriptionDropped.Error); got.String() != words[1] {
			s.t.Fatalf("%s: %v", line, message.SubscriptionDropped.Error)
		}
	case "acks":
		err = c.Ack(c.named(s.t, words)...)
	case "retries":
		err = c.Nack("again", esdb.NackActionRetry, c.named(s.t, words)...)
	case "parks":
		err = c.Nack("not now", esdb.NackActionPark, c.named(s.t, words)...)
	case "skips":
		err = c.Nack("never", esdb.NackActionSkip, c.named(s.t, words)...)
	case "stops":
		err = c.Nack("stop", esdb.NackActionStop, c.named(s.t, words)...)
	case "despairs": // of
		err = c.Nack("what?", esdb.NackActionUnknown, c.named(s.t, words[1:])...)
	case "leaves":
		err = c.Close()
	default:
		err = errors.New("no such line")
	}
	if err != nil {
		s.t.Fatalf("%s: %v", line, err)
	}
}

func (c *consumer) named(t testing.TB, words []string) []*esdb.ResolvedEvent {
	t.Helper()
	var events []*esdb.ResolvedEvent
	for _, word := range words {
		e, ok := c.got[word]
		if !ok {
			t.Fatalf("%s was not received", word)
		}
		events = append(events, e)
	}
	return events
}

// receive puts the next message in words.
func (c *consumer) receive() string {
	message := c.Recv()
	if message.SubscriptionDropped != nil {
		return fmt.Sprintf("dropped: %v", message.SubscriptionDropped.Error)
	}
	e := message.EventAppeared.Event
	if e.Event == nil {
		return "an event without content"
	}
	word := e.Event.EventType
	c.got[word] = e
	if e.Link != nil {
		word = fmt.Sprintf("%s/%d->%s", e.Link.StreamID, e.Link.EventNumber, word)
		word = strings.ReplaceAll(word, "$persistentsubscription-s::g-parked", "parked")
	}
	if e.Event.EventNumber == math.MaxInt64 {
		word = "tombstone"
	}
	if message.EventAppeared.RetryCount > 0 {
		word = fmt.Sprintf("%s(%d)", word, message.EventAppeared.RetryCount)
	}
	return word
}
