package main

import (
	"fmt"
	"strings"

	"github.com/kurrent-io/KurrentDB-Client-Go/kurrentdb"
)

// streams appends, reads, subscribes and deletes.
func streams(s *session) error {
	version, err := s.GetServerVersion()
	if err != nil {
		return err
	}
	s.say("server", fmt.Sprint(version.Major > 20))
	if err := s.append("order-1", kurrentdb.NoStream{}, "placed", "paid"); err != nil {
		return err
	}
	if err := s.append("order-2", kurrentdb.Any{}, "placed"); err != nil {
		return err
	}
	if err := s.refused("append at another revision", s.append("order-1", kurrentdb.StreamRevision{Value: 7}, "packed"), kurrentdb.ErrorCodeWrongExpectedVersion); err != nil {
		return err
	}
	if err := s.read("order-1"); err != nil {
		return err
	}

	stream, err := s.SubscribeToStream(s, "order-1", kurrentdb.SubscribeToStreamOptions{From: kurrentdb.Start{}})
	if err != nil {
		return err
	}
	defer stream.Close()
	// Window and multiplier are 1, so that there is a checkpoint for each event that is looked at.
	all, err := s.SubscribeToAll(s, kurrentdb.SubscribeToAllOptions{
		From: kurrentdb.Start{}, MaxSearchWindow: 1, CheckpointInterval: 1,
		Filter: &kurrentdb.SubscriptionFilter{Type: kurrentdb.EventFilterType, Prefixes: []string{"placed"}},
	})
	if err != nil {
		return err
	}
	defer all.Close()
	empty, err := s.SubscribeToStream(s, "never", kurrentdb.SubscribeToStreamOptions{From: kurrentdb.Start{}})
	if err != nil {
		return err
	}
	defer empty.Close()
	for _, of := range []struct {
		name         string
		subscription *kurrentdb.Subscription
		events       int
	}{{"stream", stream, 2}, {"filtered all", all, 2}, {"empty stream", empty, 0}} {
		if err := s.follow(of.name, of.subscription, of.events); err != nil {
			return err
		}
	}
	if err := s.append("order-1", kurrentdb.StreamRevision{Value: 1}, "packed"); err != nil {
		return err
	}
	if err := s.append("never", kurrentdb.NoStream{}, "placed"); err != nil {
		return err
	}
	for _, of := range []struct {
		name         string
		subscription *kurrentdb.Subscription
	}{{"stream, live", stream}, {"filtered all, live", all}, {"empty stream, live", empty}} {
		if err := s.follow(of.name, of.subscription, 1); err != nil {
			return err
		}
	}
	return s.deleting()
}

// follow receives until so many events have come; without any, until the subscription has caught up.
func (s *session) follow(what string, subscription *kurrentdb.Subscription, events int) error {
	var got []string
	for {
		message := subscription.Recv()
		switch {
		case message.SubscriptionDropped != nil:
			return fmt.Errorf("%s: %w", what, message.SubscriptionDropped.Error)
		case message.EventAppeared != nil:
			got = append(got, name(message.EventAppeared))
		case message.CheckPointReached != nil:
			continue
		case events == 0: // caught up, which this client shows as an empty message when the server tells no time with it
			s.say(what, "caught up")
			return nil
		}
		if events > 0 && len(got) == events {
			s.say(what, strings.Join(got, " "))
			return nil
		}
	}
}

func (s *session) deleting() error {
	metadata := kurrentdb.StreamMetadata{}
	metadata.SetMaxCount(1)
	if _, err := s.SetStreamMetadata(s, "order-1", kurrentdb.AppendToStreamOptions{}, metadata); err != nil {
		return err
	}
	read, err := s.GetStreamMetadata(s, "order-1", kurrentdb.ReadStreamOptions{})
	if err != nil {
		return err
	}
	s.say("metadata", fmt.Sprint("max count ", *read.MaxCount()))
	if err := s.read("order-1"); err != nil {
		return err
	}
	if _, err := s.DeleteStream(s, "order-1", kurrentdb.DeleteStreamOptions{StreamState: kurrentdb.StreamRevision{Value: 2}}); err != nil {
		return err
	}
	if err := s.refused("read of a deleted stream", s.read("order-1"), kurrentdb.ErrorCodeResourceNotFound); err != nil {
		return err
	}
	if _, err := s.TombstoneStream(s, "order-2", kurrentdb.TombstoneStreamOptions{}); err != nil {
		return err
	}
	return s.refused("read of a tombstoned stream", s.read("order-2"), kurrentdb.ErrorCodeStreamDeleted)
}
