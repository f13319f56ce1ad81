package esdbserver_test

import (
	"math"
	"strings"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/timestamppb"
)

// dice turns the bytes of a fuzzer into messages: every byte decides one thing, so that a changed byte is a changed field
// and a cut input a request that lacks the rest. When the bytes are used up everything left out is missing.
type dice struct{ rolls []byte }

// roll returns a number below n.
func (d *dice) roll(n int) int {
	if len(d.rolls) == 0 {
		return 0
	}
	roll := d.rolls[0]
	d.rolls = d.rolls[1:]
	return int(roll) % n
}

func (d *dice) more() bool { return len(d.rolls) > 0 }

func pick[T any](d *dice, choices ...T) T { return choices[d.roll(len(choices))] }

func (d *dice) number() uint64 {
	return pick(d, 0, 1, 2, 3, 7, 100, 300, math.MaxInt32, math.MaxInt64-1, math.MaxInt64, math.MaxInt64+1, math.MaxUint64-1, math.MaxUint64, uint64(d.roll(256)))
}

func (d *dice) uuid() *shared.UUID {
	word := pick(d, "a", "b", "c", "d")
	id := uuid.NewSHA1(uuid.NameSpaceOID, []byte(word))
	return pick(d, nil, textID(id), structuredID(id), textID(uuid.New()), structuredID(uuid.New()), &shared.UUID{},
		&shared.UUID{Value: &shared.UUID_String_{String_: pick(d, "", "17", "{"+id.String()+"}", "urn:uuid:"+id.String(), strings.Repeat("f", 300))}},
		&shared.UUID{Value: &shared.UUID_Structured_{}},
		&shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{MostSignificantBits: int64(d.number())}}},
	)
}

func (d *dice) stream() *shared.StreamIdentifier {
	return pick(d, nil, rawStream("s"), rawStream("t"), rawStream("s-1"), rawStream("$$s"), rawStream("$$$$s"), rawStream("$all"), rawStream("$$$all"),
		rawStream("$"), rawStream("$$"), rawStream(""), rawStream("\xff\xfe"), rawStream("a\x00b"), rawStream("$ce-s"), rawStream(strings.Repeat("long", 5000)), &shared.StreamIdentifier{})
}

func (d *dice) empty() *shared.Empty { return pick(d, nil, &shared.Empty{}) }

func (d *dice) emptypb() *emptypb.Empty { return pick(d, nil, &emptypb.Empty{}) }

func (d *dice) event() *streams.AppendReq_ProposedMessage {
	if d.roll(16) == 15 {
		return nil
	}
	e := &streams.AppendReq_ProposedMessage{Id: d.uuid(), Metadata: map[string]string{}}
	if d.roll(8) < 7 {
		e.Metadata["type"] = pick(d, "x", "y", "$>", "$metadata", "$streamDeleted", "", "\x00", strings.Repeat("t", 3000))
	}
	if d.roll(8) < 7 {
		e.Metadata["content-type"] = pick(d, "application/json", "application/octet-stream", "", "text/plain")
	}
	e.Data = pick(d, nil, []byte(`{}`), []byte("0@s"), []byte("9223372036854775807@s"), []byte("-1@s"), []byte("@"), []byte(`{"$tb":9223372036854775807}`),
		[]byte(`{"$maxCount":1}`), []byte(`{"$tb":1}`), []byte(`{"$maxAge":-1,"$tb":-5}`), []byte(`{"$maxAge":1e30}`), []byte{0xff, 0}, make([]byte, 5000), make([]byte, 1<<20))
	e.CustomMetadata = pick(d, nil, []byte(`{"$correlationId":"c"}`), []byte(`{"$correlationId":""}`), []byte("{"), make([]byte, 3000))
	return e
}

func (d *dice) appendReq() *streams.AppendReq {
	switch d.roll(8) {
	case 0:
		return &streams.AppendReq{}
	case 1, 2, 3:
		options := &streams.AppendReq_Options{StreamIdentifier: d.stream()}
		switch d.roll(6) {
		case 1:
			options.ExpectedStreamRevision = &streams.AppendReq_Options_Revision{Revision: d.number()}
		case 2:
			options.ExpectedStreamRevision = &streams.AppendReq_Options_NoStream{NoStream: d.empty()}
		case 3, 4:
			options.ExpectedStreamRevision = &streams.AppendReq_Options_Any{Any: d.empty()}
		case 5:
			options.ExpectedStreamRevision = &streams.AppendReq_Options_StreamExists{StreamExists: d.empty()}
		}
		return &streams.AppendReq{Content: &streams.AppendReq_Options_{Options: pick(d, options, options, options, nil)}}
	}
	return proposedMessage(d.event())
}

func (d *dice) batchReq() *streams.BatchAppendReq {
	m := &streams.BatchAppendReq{CorrelationId: d.uuid(), IsFinal: d.roll(3) > 0}
	if d.roll(4) > 0 {
		m.Options = &streams.BatchAppendReq_Options{StreamIdentifier: d.stream()}
		switch d.roll(6) {
		case 1:
			m.Options.ExpectedStreamPosition = &streams.BatchAppendReq_Options_StreamPosition{StreamPosition: d.number()}
		case 2:
			m.Options.ExpectedStreamPosition = &streams.BatchAppendReq_Options_NoStream{NoStream: d.emptypb()}
		case 3, 4:
			m.Options.ExpectedStreamPosition = &streams.BatchAppendReq_Options_Any{Any: d.emptypb()}
		case 5:
			m.Options.ExpectedStreamPosition = &streams.BatchAppendReq_Options_StreamExists{StreamExists: d.emptypb()}
		}
		switch d.roll(4) {
		case 1:
			m.Options.DeadlineOption = &streams.BatchAppendReq_Options_Deadline{
				Deadline: pick(d, nil, &durationpb.Duration{Seconds: int64(d.number())}, &durationpb.Duration{Seconds: 1, Nanos: -1}),
			}
		case 2:
			m.Options.DeadlineOption = &streams.BatchAppendReq_Options_Deadline_21_10_0{
				Deadline_21_10_0: pick(d, nil, &timestamppb.Timestamp{Seconds: int64(d.number())}, &timestamppb.Timestamp{Nanos: -1}),
			}
		}
	}
	for range d.roll(4) {
		e := d.event()
		if e == nil {
			m.ProposedMessages = append(m.ProposedMessages, &streams.BatchAppendReq_ProposedMessage{})
			continue
		}
		m.ProposedMessages = append(m.ProposedMessages, &streams.BatchAppendReq_ProposedMessage{
			Id: e.GetId(), Metadata: e.GetMetadata(), Data: e.GetData(), CustomMetadata: e.GetCustomMetadata(),
		})
	}
	return m
}

func (d *dice) deleteReq() *streams.DeleteReq {
	options := &streams.DeleteReq_Options{StreamIdentifier: d.stream()}
	switch d.roll(5) {
	case 1:
		options.ExpectedStreamRevision = &streams.DeleteReq_Options_Revision{Revision: d.number()}
	case 2:
		options.ExpectedStreamRevision = &streams.DeleteReq_Options_NoStream{NoStream: d.empty()}
	case 3:
		options.ExpectedStreamRevision = &streams.DeleteReq_Options_Any{Any: d.empty()}
	case 4:
		options.ExpectedStreamRevision = &streams.DeleteReq_Options_StreamExists{StreamExists: d.empty()}
	}
	return &streams.DeleteReq{Options: pick(d, options, options, options, nil)}
}

func (d *dice) tombstoneReq() *streams.TombstoneReq {
	options := &streams.TombstoneReq_Options{StreamIdentifier: d.stream()}
	switch d.roll(5) {
	case 1:
		options.ExpectedStreamRevision = &streams.TombstoneReq_Options_Revision{Revision: d.number()}
	case 2:
		options.ExpectedStreamRevision = &streams.TombstoneReq_Options_NoStream{NoStream: d.empty()}
	case 3:
		options.ExpectedStreamRevision = &streams.TombstoneReq_Options_Any{Any: d.empty()}
	case 4:
		options.ExpectedStreamRevision = &streams.TombstoneReq_Options_StreamExists{StreamExists: d.empty()}
	}
	return &streams.TombstoneReq{Options: pick(d, options, options, options, nil)}
}

func (d *dice) readReq() *streams.ReadReq {
	options := &streams.ReadReq_Options{
		ReadDirection: pick(d, streams.ReadReq_Options_Forwards, streams.ReadReq_Options_Backwards, 7, -1),
		ResolveLinks:  d.roll(2) == 1,
		ControlOption: pick(d, nil, &streams.ReadReq_Options_ControlOption{}, &streams.ReadReq_Options_ControlOption{Compatibility: math.MaxUint32}),
		UuidOption: pick(d, nil, &streams.ReadReq_Options_UUIDOption{}, &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_String_{}},
			&streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_Structured{}}),
	}
	switch d.roll(6) {
	case 0:
	case 1, 2:
		options.StreamOption = &streams.ReadReq_Options_All{All: d.allOptions()}
	default:
		options.StreamOption = &streams.ReadReq_Options_Stream{Stream: d.streamOptions()}
	}
	switch d.roll(4) {
	case 1:
		options.CountOption = &streams.ReadReq_Options_Subscription{Subscription: pick(d, nil, &streams.ReadReq_Options_SubscriptionOptions{})}
	case 2, 3:
		options.CountOption = &streams.ReadReq_Options_Count{Count: d.number()}
	}
	switch d.roll(4) {
	case 1:
		options.FilterOption = &streams.ReadReq_Options_Filter{Filter: d.filter()}
	case 2, 3:
		options.FilterOption = &streams.ReadReq_Options_NoFilter{NoFilter: d.empty()}
	}
	return &streams.ReadReq{Options: pick(d, options, options, options, nil)}
}

func (d *dice) streamOptions() *streams.ReadReq_Options_StreamOptions {
	options := &streams.ReadReq_Options_StreamOptions{StreamIdentifier: d.stream()}
	switch d.roll(4) {
	case 1:
		options.RevisionOption = &streams.ReadReq_Options_StreamOptions_Start{Start: d.empty()}
	case 2:
		options.RevisionOption = &streams.ReadReq_Options_StreamOptions_End{End: d.empty()}
	case 3:
		options.RevisionOption = &streams.ReadReq_Options_StreamOptions_Revision{Revision: d.number()}
	}
	return options
}

func (d *dice) allOptions() *streams.ReadReq_Options_AllOptions {
	options := &streams.ReadReq_Options_AllOptions{}
	switch d.roll(4) {
	case 1:
		options.AllOption = &streams.ReadReq_Options_AllOptions_Start{Start: d.empty()}
	case 2:
		options.AllOption = &streams.ReadReq_Options_AllOptions_End{End: d.empty()}
	case 3:
		commit := d.number()
		options.AllOption = &streams.ReadReq_Options_AllOptions_Position{Position: pick(d,
			&streams.ReadReq_Options_Position{CommitPosition: commit, PreparePosition: commit},
			&streams.ReadReq_Options_Position{CommitPosition: commit, PreparePosition: d.number()}, nil)}
	}
	return options
}

func (d *dice) filter() *streams.ReadReq_Options_FilterOptions {
	filter := &streams.ReadReq_Options_FilterOptions{CheckpointIntervalMultiplier: uint32(d.number())}
	expression := pick(d, nil, &streams.ReadReq_Options_FilterOptions_Expression{},
		&streams.ReadReq_Options_FilterOptions_Expression{Regex: pick(d, "s", "^[^$]", "(", "(?=a)", "(a*)*b", strings.Repeat("(x{0,100})", 3), "\\pN")},
		&streams.ReadReq_Options_FilterOptions_Expression{Prefix: []string{"s", ""}},
		&streams.ReadReq_Options_FilterOptions_Expression{Prefix: make([]string, 1000)})
	switch d.roll(3) {
	case 1:
		filter.Filter = &streams.ReadReq_Options_FilterOptions_StreamIdentifier{StreamIdentifier: expression}
	case 2:
		filter.Filter = &streams.ReadReq_Options_FilterOptions_EventType{EventType: expression}
	}
	switch d.roll(3) {
	case 1:
		filter.Window = &streams.ReadReq_Options_FilterOptions_Max{Max: uint32(d.number())}
	case 2:
		filter.Window = &streams.ReadReq_Options_FilterOptions_Count{Count: d.empty()}
	}
	return filter
}
