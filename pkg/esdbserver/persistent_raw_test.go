package esdbserver_test

import (
	"context"
	"math"
	"testing"

	persistentpb "github.com/EventStore/EventStore-Client-Go/v4/protos/persistent"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"orderflow/pkg/esdbserver/esdbservertest"
)

func dialPersistent(t *testing.T, store *esdbservertest.Server) persistentpb.PersistentSubscriptionsClient {
	t.Helper()
	return persistentpb.NewPersistentSubscriptionsClient(connectRaw(t, store))
}

// rawSettings are settings that can be.
func rawSettings(changes ...func(*persistentpb.CreateReq_Settings)) *persistentpb.CreateReq_Settings {
	s := &persistentpb.CreateReq_Settings{
		MaxRetryCount: 10, MinCheckpointCount: 10, MaxCheckpointCount: 1000, LiveBufferSize: 500, ReadBatchSize: 20, HistoryBufferSize: 500,
		ConsumerStrategy: "RoundRobin",
		MessageTimeout:   &persistentpb.CreateReq_Settings_MessageTimeoutMs{MessageTimeoutMs: 30_000},
		CheckpointAfter:  &persistentpb.CreateReq_Settings_CheckpointAfterMs{CheckpointAfterMs: 2000},
	}
	for _, change := range changes {
		change(s)
	}
	return s
}

func rawCreate(stream, name string, changes ...func(*persistentpb.CreateReq_Settings)) *persistentpb.CreateReq {
	return &persistentpb.CreateReq{Options: &persistentpb.CreateReq_Options{
		StreamOption: &persistentpb.CreateReq_Options_Stream{Stream: &persistentpb.CreateReq_StreamOptions{
			StreamIdentifier: rawStream(stream), RevisionOption: &persistentpb.CreateReq_StreamOptions_Start{Start: empty},
		}},
		GroupName: name, Settings: rawSettings(changes...),
	}}
}

func rawCreateAll(name string, all *persistentpb.CreateReq_AllOptions) *persistentpb.CreateReq {
	return &persistentpb.CreateReq{Options: &persistentpb.CreateReq_Options{
		StreamOption: &persistentpb.CreateReq_Options_All{All: all}, GroupName: name, Settings: rawSettings(),
	}}
}

func rawOptions(stream, name string, buffer int32) *persistentpb.ReadReq {
	return &persistentpb.ReadReq{Content: &persistentpb.ReadReq_Options_{Options: &persistentpb.ReadReq_Options{
		StreamOption: &persistentpb.ReadReq_Options_StreamIdentifier{StreamIdentifier: rawStream(stream)},
		GroupName:    name, BufferSize: buffer,
		UuidOption: &persistentpb.ReadReq_Options_UUIDOption{Content: &persistentpb.ReadReq_Options_UUIDOption_String_{String_: empty}},
	}}}
}

// readUntilError sends messages and reads until the call ends.
func readUntilError(ctx context.Context, client persistentpb.PersistentSubscriptionsClient, trailer *metadata.MD, messages ...*persistentpb.ReadReq) error {
	call, err := client.Read(ctx, grpc.Trailer(trailer))
	if err != nil {
		return err
	}
	for _, m := range messages {
		if err := call.Send(m); err != nil {
			break // the reason comes with the answer
		}
	}
	for {
		if _, err := call.Recv(); err != nil {
			return err
		}
	}
}

func TestErrorsAboutPersistentSubscriptionsAreNamed(t *testing.T) {
	store := esdbservertest.New(t)
	client := dialPersistent(t, store)
	for _, req := range []*persistentpb.CreateReq{
		rawCreate("s", "g"),
		rawCreate("s", "one", func(s *persistentpb.CreateReq_Settings) { s.MaxSubscriberCount = 1 }),
	} {
		if _, err := client.Create(withPatience(t), req); err != nil {
			t.Fatal(err)
		}
	}
	only, err := client.Read(withPatience(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := only.Send(rawOptions("s", "one", 1)); err != nil {
		t.Fatal(err)
	}
	if _, err := only.Recv(); err != nil {
		t.Fatal(err)
	}
	create := func(req *persistentpb.CreateReq) func(context.Context, *metadata.MD) error {
		return func(ctx context.Context, trailer *metadata.MD) error {
			_, err := client.Create(ctx, req, grpc.Trailer(trailer))
			return err
		}
	}
	settings := func(change func(*persistentpb.CreateReq_Settings)) func(context.Context, *metadata.MD) error {
		return create(rawCreate("s", "bad", change))
	}
	all := func(options *persistentpb.CreateReq_AllOptions) func(context.Context, *metadata.MD) error {
		return create(rawCreateAll("bad", options))
	}
	read := func(messages ...*persistentpb.ReadReq) func(context.Context, *metadata.MD) error {
		return func(ctx context.Context, trailer *metadata.MD) error {
			return readUntilError(ctx, client, trailer, messages...)
		}
	}
	noFilter := &persistentpb.CreateReq_AllOptions_NoFilter{NoFilter: empty}
	atStart := &persistentpb.CreateReq_AllOptions_Start{Start: empty}
	position := func(commit, prepare uint64) *persistentpb.CreateReq_AllOptions {
		return &persistentpb.CreateReq_AllOptions{
			AllOption:    &persistentpb.CreateReq_AllOptions_Position{Position: &persistentpb.CreateReq_Position{CommitPosition: commit, PreparePosition: prepare}},
			FilterOption: noFilter,
		}
	}
	filtered := func(f *persistentpb.CreateReq_AllOptions_FilterOptions) *persistentpb.CreateReq_AllOptions {
		return &persistentpb.CreateReq_AllOptions{AllOption: atStart, FilterOption: &persistentpb.CreateReq_AllOptions_Filter{Filter: f}}
	}
	ack := &persistentpb.ReadReq{Content: &persistentpb.ReadReq_Ack_{Ack: &persistentpb.ReadReq_Ack{Ids: []*shared.UUID{{}}}}}
	nack := &persistentpb.ReadReq{Content: &persistentpb.ReadReq_Nack_{Nack: &persistentpb.ReadReq_Nack{
		Ids: []*shared.UUID{{Value: &shared.UUID_String_{String_: "17"}}},
	}}}
	unknownIDs := &persistentpb.ReadReq{Content: &persistentpb.ReadReq_Nack_{Nack: &persistentpb.ReadReq_Nack{
		Ids: []*shared.UUID{{Value: &shared.UUID_String_{String_: uuid.NewString()}}}, Action: 99,
	}}}

	const exists, missing, failed = "persistent-subscription-exists", "persistent-subscription-does-not-exist", "persistent-subscription-failed"
	for _, test := range []struct {
		name      string
		call      func(context.Context, *metadata.MD) error
		code      codes.Code
		exception string
		stream    string
		group     string
	}{
		{"creating a group that exists", create(rawCreate("s", "g")), codes.AlreadyExists, exists, "s", "g"},
		{"creating a group whose key is taken", func(ctx context.Context, trailer *metadata.MD) error {
			if _, err := client.Create(ctx, rawCreate("a", "b::c")); err != nil {
				return err
			}
			_, err := client.Create(ctx, rawCreate("a::b", "c"), grpc.Trailer(trailer))
			return err
		}, codes.AlreadyExists, exists, "a::b", "c"},
		{"updating a group that does not exist", func(ctx context.Context, trailer *metadata.MD) error {
			_, err := client.Update(ctx, &persistentpb.UpdateReq{Options: &persistentpb.UpdateReq_Options{
				StreamOption: &persistentpb.UpdateReq_Options_Stream{Stream: &persistentpb.UpdateReq_StreamOptions{
					StreamIdentifier: rawStream("s"), RevisionOption: &persistentpb.UpdateReq_StreamOptions_Start{Start: empty},
				}}, GroupName: "nobody", Settings: &persistentpb.UpdateReq_Settings{},
			}}, grpc.Trailer(trailer))
			return err
		}, codes.NotFound, missing, "s", "nobody"},
		{"deleting a group that does not exist", func(ctx context.Context, trailer *metadata.MD) error {
			_, err := client.Delete(ctx, &persistentpb.DeleteReq{Options: &persistentpb.DeleteReq_Options{
				StreamOption: &persistentpb.DeleteReq_Options_All{All: empty}, GroupName: "nobody",
			}}, grpc.Trailer(trailer))
			return err
		}, codes.NotFound, missing, "$all", "nobody"},
		{"info of a group that does not exist", func(ctx context.Context, trailer *metadata.MD) error {
			_, err := client.GetInfo(ctx, &persistentpb.GetInfoReq{Options: &persistentpb.GetInfoReq_Options{
				StreamOption: &persistentpb.GetInfoReq_Options_StreamIdentifier{StreamIdentifier: rawStream("t")}, GroupName: "g",
			}}, grpc.Trailer(trailer))
			return err
		}, codes.NotFound, missing, "t", "g"},
		{"replaying a group that does not exist", func(ctx context.Context, trailer *metadata.MD) error {
			_, err := client.ReplayParked(ctx, &persistentpb.ReplayParkedReq{Options: &persistentpb.ReplayParkedReq_Options{
				StreamOption: &persistentpb.ReplayParkedReq_Options_StreamIdentifier{StreamIdentifier: rawStream("t")}, GroupName: "g",
			}}, grpc.Trailer(trailer))
			return err
		}, codes.NotFound, missing, "t", "g"},
		{"replaying up to a negative revision", func(ctx context.Context, trailer *metadata.MD) error {
			_, err := client.ReplayParked(ctx, &persistentpb.ReplayParkedReq{Options: &persistentpb.ReplayParkedReq_Options{
				StreamOption: &persistentpb.ReplayParkedReq_Options_StreamIdentifier{StreamIdentifier: rawStream("s")}, GroupName: "g",
				StopAtOption: &persistentpb.ReplayParkedReq_Options_StopAt{StopAt: -1},
			}}, grpc.Trailer(trailer))
			return err
		}, codes.Internal, failed, "s", "g"},
		{"listing a stream without groups", func(ctx context.Context, trailer *metadata.MD) error {
			_, err := client.List(ctx, &persistentpb.ListReq{Options: &persistentpb.ListReq_Options{ListOption: &persistentpb.ListReq_Options_ListForStream{
				ListForStream: &persistentpb.ListReq_StreamOption{StreamOption: &persistentpb.ListReq_StreamOption_Stream{Stream: rawStream("t")}},
			}}}, grpc.Trailer(trailer))
			return err
		}, codes.NotFound, missing, "t", ""},
		{"listing nothing in particular", func(ctx context.Context, trailer *metadata.MD) error {
			_, err := client.List(ctx, &persistentpb.ListReq{}, grpc.Trailer(trailer))
			return err
		}, codes.InvalidArgument, "", "", ""},
		{"connecting to a group that does not exist", read(rawOptions("s", "nobody", 1)), codes.NotFound, missing, "s", "nobody"},
		{"connecting to a group that is full", read(rawOptions("s", "one", 1)), codes.FailedPrecondition, "maximum-subscribers-reached", "s", "one"},
		{"connecting without a buffer", read(rawOptions("s", "g", 0)), codes.InvalidArgument, "", "", ""},
		{"connecting without options", read(ack), codes.InvalidArgument, "", "", ""},
		{"connecting without a stream", read(rawOptions("", "g", 1)), codes.Unknown, "", "", ""},
		{"options twice", read(rawOptions("s", "g", 1), rawOptions("s", "g", 1)), codes.InvalidArgument, "", "", ""},
		{"an acknowledgement of nothing", read(rawOptions("s", "g", 1), ack), codes.Unknown, "", "", ""},
		{"an id that is none", read(rawOptions("s", "g", 1), unknownIDs, nack), codes.Unknown, "", "", ""},
		{"a stream name that is empty", create(rawCreate("", "g")), codes.Unknown, "", "", ""},
		{"a group name that is empty", create(rawCreate("s", "")), codes.InvalidArgument, "", "", ""},
		{"nothing to create", create(&persistentpb.CreateReq{}), codes.Unknown, "", "", ""},
		{"$all as if it were a stream", create(rawCreate("$all", "g")), codes.InvalidArgument, "", "", ""},
		{"a batch as large as the buffer", settings(func(s *persistentpb.CreateReq_Settings) { s.ReadBatchSize = 500 }), codes.Internal, failed, "s", "bad"},
		{"no batch", settings(func(s *persistentpb.CreateReq_Settings) { s.ReadBatchSize = 0 }), codes.Internal, failed, "s", "bad"},
		{"a negative buffer", settings(func(s *persistentpb.CreateReq_Settings) { s.LiveBufferSize = -1 }), codes.Internal, failed, "s", "bad"},
		{"a timeout beyond all bounds", settings(func(s *persistentpb.CreateReq_Settings) {
			s.MessageTimeout = &persistentpb.CreateReq_Settings_MessageTimeoutTicks{MessageTimeoutTicks: math.MaxInt64}
		}), codes.Internal, failed, "s", "bad"},
		{"a negative timeout", settings(func(s *persistentpb.CreateReq_Settings) {
			s.MessageTimeout = &persistentpb.CreateReq_Settings_MessageTimeoutTicks{MessageTimeoutTicks: math.MinInt64}
		}), codes.Internal, failed, "s", "bad"},
		{"a strategy that does not exist", settings(func(s *persistentpb.CreateReq_Settings) { s.ConsumerStrategy = "Lottery" }), codes.Internal, failed, "s", "bad"},
		{"a strategy number that does not exist", settings(func(s *persistentpb.CreateReq_Settings) {
			s.ConsumerStrategy, s.NamedConsumerStrategy = "", 99 //nolint:staticcheck // what old clients send
		}), codes.Internal, failed, "s", "bad"},
		{"a start beyond the end of $all", all(position(1<<40, 1<<40)), codes.Internal, failed, "$all", "bad"},
		{"a start that is no position", all(position(0, 1)), codes.InvalidArgument, "", "", ""},
		{"$all without a start", all(&persistentpb.CreateReq_AllOptions{FilterOption: noFilter}), codes.InvalidArgument, "", "", ""},
		{"$all without a word about filters", all(&persistentpb.CreateReq_AllOptions{AllOption: atStart}), codes.InvalidArgument, "", "", ""},
		{"a filter by nothing", all(filtered(&persistentpb.CreateReq_AllOptions_FilterOptions{})), codes.InvalidArgument, "", "", ""},
		{"a filter with a pattern that is none", all(filtered(&persistentpb.CreateReq_AllOptions_FilterOptions{
			Filter: &persistentpb.CreateReq_AllOptions_FilterOptions_EventType{EventType: &persistentpb.CreateReq_AllOptions_FilterOptions_Expression{Regex: "("}},
		})), codes.InvalidArgument, "", "", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			var trailer metadata.MD
			err := test.call(withPatience(t), &trailer)
			if got := status.Code(err); got != test.code {
				t.Errorf("code %v, want %v (%v)", got, test.code, err)
			}
			for key, want := range map[string]string{"exception": test.exception, "stream-name": test.stream, "group-name": test.group} {
				if test.exception == "" {
					break
				}
				if diff := cmp.Diff([]string{want}, trailer.Get(key)); diff != "" {
					t.Errorf("trailer %s (-want +got):\n%s", key, diff)
				}
			}
			if test.exception == failed && len(trailer.Get("reason")) != 1 {
				t.Errorf("no reason in %v", trailer)
			}
		})
	}
}

func TestDroppedConsumersAreToldByName(t *testing.T) {
	store := esdbservertest.New(t)
	client := dialPersistent(t, store)
	if _, err := client.Create(withPatience(t), rawCreate("s", "g")); err != nil {
		t.Fatal(err)
	}
	var trailer metadata.MD
	call, err := client.Read(withPatience(t), grpc.Trailer(&trailer))
	if err != nil {
		t.Fatal(err)
	}
	if err := call.Send(rawOptions("s", "g", 1)); err != nil {
		t.Fatal(err)
	}
	answer, err := call.Recv()
	if err != nil {
		t.Fatal(err)
	}
	if got := answer.GetSubscriptionConfirmation().GetSubscriptionId(); got != "s::g" {
		t.Errorf("the subscription is called %q", got)
	}
	if _, err := client.Delete(withPatience(t), &persistentpb.DeleteReq{Options: &persistentpb.DeleteReq_Options{
		StreamOption: &persistentpb.DeleteReq_Options_StreamIdentifier{StreamIdentifier: rawStream("s")}, GroupName: "g",
	}}); err != nil {
		t.Fatal(err)
	}
	_, err = call.Recv()
	if status.Code(err) != codes.Canceled {
		t.Errorf("the subscription ended with %v", err)
	}
	if diff := cmp.Diff([]string{"persistent-subscription-dropped"}, trailer.Get("exception")); diff != "" {
		t.Errorf("trailer (-want +got):\n%s", diff)
	}
}

// Clients from before there were groups on $all name the stream, the revision and the strategy in fields of their own,
// and count times in ticks.
func TestOldClientsAreUnderstood(t *testing.T) {
	store := esdbservertest.New(t)
	client := dialPersistent(t, store)
	_, err := client.Create(withPatience(t), &persistentpb.CreateReq{Options: &persistentpb.CreateReq_Options{
		//nolint:staticcheck // what old clients send
		StreamIdentifier: rawStream("s"), GroupName: "g", Settings: rawSettings(func(s *persistentpb.CreateReq_Settings) {
			//nolint:staticcheck // what old clients send
			s.Revision, s.ConsumerStrategy, s.NamedConsumerStrategy = 7, "", persistentpb.CreateReq_Pinned
			s.MessageTimeout = &persistentpb.CreateReq_Settings_MessageTimeoutTicks{MessageTimeoutTicks: 50_000_000}
			s.CheckpointAfter = &persistentpb.CreateReq_Settings_CheckpointAfterTicks{CheckpointAfterTicks: 10_000_000}
		}),
	}})
	if err != nil {
		t.Fatal(err)
	}
	info := func() *persistentpb.SubscriptionInfo {
		answer, err := client.GetInfo(withPatience(t), &persistentpb.GetInfoReq{Options: &persistentpb.GetInfoReq_Options{
			StreamOption: &persistentpb.GetInfoReq_Options_StreamIdentifier{StreamIdentifier: rawStream("s")}, GroupName: "g",
		}})
		if err != nil {
			t.Fatal(err)
		}
		return answer.GetSubscriptionInfo()
	}
	if i := info(); i.GetStartFrom() != "7" || i.GetNamedConsumerStrategy() != "Pinned" || i.GetMessageTimeoutMilliseconds() != 5000 || i.GetCheckPointAfterMilliseconds() != 1000 {
		t.Errorf("created %v", i)
	}
	_, err = client.Update(withPatience(t), &persistentpb.UpdateReq{Options: &persistentpb.UpdateReq_Options{
		//nolint:staticcheck // what old clients send
		StreamIdentifier: rawStream("s"), GroupName: "g", Settings: &persistentpb.UpdateReq_Settings{
			//nolint:staticcheck // what old clients send
			Revision: math.MaxUint64, NamedConsumerStrategy: persistentpb.UpdateReq_RoundRobin, ReadBatchSize: 5, HistoryBufferSize: 6,
			MessageTimeout: &persistentpb.UpdateReq_Settings_MessageTimeoutTicks{MessageTimeoutTicks: 60 * 24 * 3600 * 10_000_000}, // 60 days
		},
	}})
	if err != nil {
		t.Fatal(err)
	}
	if i := info(); i.GetStartFrom() != "-1" || i.GetNamedConsumerStrategy() != "RoundRobin" || i.GetReadBatchSize() != 5 {
		t.Errorf("updated %v", i)
	}
	if got := info().GetMessageTimeoutMilliseconds(); got != math.MaxInt32 {
		t.Errorf("a timeout too long to be told is told as %d", got)
	}
}

// Ids may repeat: an acknowledgement then means one of the events.
func TestEventsWithEqualIDsAreAcknowledgedOneByOne(t *testing.T) {
	s := newGroupScript(t)
	s.run("append none: a", "append 0: a", "create start", "A connects 10", "A gets a a", "A acks a", "wait done 1", "wait in-flight 1", "A acks a", "wait done 2", "wait in-flight 0")
}

// A client that half-closes its side can answer no more: its subscription ends and its events go to others.
func TestHalfClosedSubscriptionEnds(t *testing.T) {
	s := newGroupScript(t)
	s.run("append any: a", "create start")
	call, err := dialPersistent(t, s.store).Read(withPatience(t))
	if err != nil {
		t.Fatal(err)
	}
	if err := call.Send(rawOptions("s", "g", 1)); err != nil {
		t.Fatal(err)
	}
	for range 2 { // the confirmation and the event
		if _, err := call.Recv(); err != nil {
			t.Fatal(err)
		}
	}
	if err := call.CloseSend(); err != nil {
		t.Fatal(err)
	}
	if _, err := call.Recv(); status.Code(err) != codes.Unknown { // io.EOF
		t.Errorf("the subscription ended with %v", err)
	}
	s.run("A connects 1", "A gets a(1)")
}

func TestStoppedServerEndsPersistentSubscriptions(t *testing.T) {
	s := newGroupScript(t)
	s.run("create start", "A connects 1")
	silent, err := dialPersistent(t, s.store).Read(withPatience(t)) // has not even said what it wants
	if err != nil {
		t.Fatal(err)
	}
	s.store.Stop()
	s.run("A is dropped Unavailable")
	if _, err := silent.Recv(); status.Code(err) != codes.Unavailable {
		t.Errorf("the silent call ended with %v", err)
	}
}
