package main

import (
	"fmt"

	"github.com/kurrent-io/KurrentDB-Client-Go/kurrentdb"
)

// groups makes a persistent subscription, has one event retried and acknowledges all of them.
func groups(s *session) error {
	if err := s.append("task-1", kurrentdb.NoStream{}, "made", "done"); err != nil {
		return err
	}
	settings := kurrentdb.SubscriptionSettingsDefault()
	err := s.CreatePersistentSubscription(s, "task-1", "workers", kurrentdb.PersistentStreamSubscriptionOptions{
		Settings: &settings, StartFrom: kurrentdb.Start{},
	})
	if err != nil {
		return err
	}
	s.say("group", "created")
	again := s.CreatePersistentSubscription(s, "task-1", "workers", kurrentdb.PersistentStreamSubscriptionOptions{})
	if err := s.refused("the same group again", again, kurrentdb.ErrorCodeResourceAlreadyExists); err != nil {
		return err
	}
	subscription, err := s.SubscribeToPersistentSubscription(s, "task-1", "workers", kurrentdb.SubscribeToPersistentSubscriptionOptions{})
	if err != nil {
		return err
	}
	defer subscription.Close()
	retried := false
	for acknowledged := 0; acknowledged < 2; {
		message := subscription.Recv()
		if message.SubscriptionDropped != nil {
			return message.SubscriptionDropped.Error
		}
		event := message.EventAppeared.Event
		if !retried {
			retried = true
			if err := subscription.Nack("once more", kurrentdb.NackActionRetry, event); err != nil {
				return err
			}
			continue
		}
		if err := subscription.Ack(event); err != nil {
			return err
		}
		acknowledged++
	}
	s.say("group", "both acknowledged, one after it was retried")
	info, err := s.GetPersistentSubscriptionInfo(s, "task-1", "workers", kurrentdb.GetPersistentSubscriptionOptions{})
	if err != nil {
		return err
	}
	s.say("group", fmt.Sprintf("%s of %s", info.GroupName, info.EventSource))
	if err := s.DeletePersistentSubscription(s, "task-1", "workers", kurrentdb.DeletePersistentSubscriptionOptions{}); err != nil {
		return err
	}
	_, err = s.SubscribeToPersistentSubscription(s, "task-1", "workers", kurrentdb.SubscribeToPersistentSubscriptionOptions{})
	return s.refused("a group that was deleted", err, kurrentdb.ErrorCodeResourceNotFound)
}
