package esdbserver

import (
	"context"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/serverfeatures"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
)

// featuresService is the service event_store.client.server_features.ServerFeatures. Clients ask it first, without
// credentials, and go by its answer.
type featuresService struct {
	serverfeatures.UnimplementedServerFeaturesServer
}

// GetSupportedMethods lists what clients may call. Of the methods for persistent subscriptions the Go client looks for
// each: without them it would refuse those to $all by itself and manage the others over HTTP.
func (featuresService) GetSupportedMethods(context.Context, *shared.Empty) (*serverfeatures.SupportedMethods, error) {
	const (
		streams    = "event_store.client.streams.streams"
		persistent = "event_store.client.persistent_subscriptions.persistentsubscriptions"
	)
	methods := []*serverfeatures.SupportedMethod{
		{ServiceName: streams, MethodName: "read", Features: []string{"position", "events"}},
		{ServiceName: streams, MethodName: "append"},
		{ServiceName: streams, MethodName: "batchappend", Features: []string{"deadline_duration"}},
		{ServiceName: streams, MethodName: "delete"},
		{ServiceName: streams, MethodName: "tombstone"},
		{ServiceName: "event_store.client.gossip.gossip", MethodName: "read"},
		{ServiceName: "event_store.client.server_features.serverfeatures", MethodName: "getsupportedmethods"},
	}
	for _, name := range []string{"create", "update", "delete", "read", "getinfo", "replayparked", "list", "restartsubsystem"} {
		methods = append(methods, &serverfeatures.SupportedMethod{
			ServiceName: persistent, MethodName: name, Features: []string{"stream", "all"},
		})
	}
	return &serverfeatures.SupportedMethods{EventStoreServerVersion: Version, Methods: methods}, nil
}
