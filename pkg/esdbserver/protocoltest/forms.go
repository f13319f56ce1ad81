package protocoltest

import (
	"math"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/shared"
	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/go-cmp/cmp"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/testing/protocmp"
)

// aboutForms are rules about how an answer is written down.
func aboutForms() []rule {
	rules := []rule{{name: "An id is read back whether it was sent as text or as halves", ask: idsAreReadBack}}
	return append(append(rules, idForms()...), wrongVersionForms()...)
}

// The same id in both forms: as text, and as the two halves of its bytes, each a number with a sign.
const (
	idText  = "f0e1d2c3-b4a5-9687-7869-5a4b3c2d1e0f"
	idMost  = -0x0f1e2d3c4b5a6979
	idLeast = 0x78695a4b3c2d1e0f
)

func textID() *shared.UUID { return &shared.UUID{Value: &shared.UUID_String_{String_: idText}} }

func halvesID() *shared.UUID {
	return &shared.UUID{Value: &shared.UUID_Structured_{Structured: &shared.UUID_Structured{
		MostSignificantBits: idMost, LeastSignificantBits: idLeast,
	}}}
}

func asText() *streams.ReadReq_Options_UUIDOption {
	return &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_String_{String_: &shared.Empty{}}}
}

func asHalves() *streams.ReadReq_Options_UUIDOption {
	return &streams.ReadReq_Options_UUIDOption{Content: &streams.ReadReq_Options_UUIDOption_Structured{Structured: &shared.Empty{}}}
}

func idForms() []rule {
	var rules []rule
	for _, r := range []struct {
		rule string
		form *streams.ReadReq_Options_UUIDOption
		want *shared.UUID
	}{
		{"Ids come as text to those who ask for that", asText(), textID()},
		{"Ids come as halves to those who ask for that", asHalves(), halvesID()},
		{"Ids come as halves to those who ask for neither", &streams.ReadReq_Options_UUIDOption{}, halvesID()},
	} {
		rules = append(rules, rule{name: r.rule, ask: func(t *testing.T, server Server) {
			w := newWire(t, server)
			if _, err := w.send("s", nil, proposal(textID(), "order-placed")); err != nil {
				t.Fatal(err)
			}
			options := w.ofStream("s", 1)
			options.UuidOption = r.form
			call, err := w.streams.Read(within(t), &streams.ReadReq{Options: options})
			if err != nil {
				t.Fatal(err)
			}
			message, err := call.Recv()
			if err != nil {
				t.Fatal(err)
			}
			if got := message.GetEvent().GetEvent().GetId(); !proto.Equal(got, r.want) {
				t.Errorf("id %v, want %v", got, r.want)
			}
		}})
	}
	return rules
}

func idsAreReadBack(t *testing.T, server Server) {
	w := newWire(t, server)
	if _, err := w.send("s", nil, proposal(textID(), "order-placed"), proposal(halvesID(), "order-paid")); err != nil {
		t.Fatal(err)
	}
	for _, e := range w.recordedIn("s") {
		if e.EventID.String() != idText {
			t.Errorf("%s has id %s", e.EventType, e.EventID)
		}
	}
}

// wrongVersionForms: an append at a wrong revision is no error of gRPC but an answer, which is written down twice, in the
// fields of today and in those that clients of version 20.6 read.
func wrongVersionForms() []rule {
	type answer = streams.AppendResp_WrongExpectedVersion
	empty := &shared.Empty{}
	var rules []rule
	for _, r := range []struct {
		rule     string
		stream   string // "s" has one event, "t" none
		expected *streams.AppendReq_Options
		want     *answer
	}{
		{
			"A wrong revision is told in new and old fields", "s",
			&streams.AppendReq_Options{ExpectedStreamRevision: &streams.AppendReq_Options_Revision{Revision: 7}},
			&answer{
				ExpectedRevisionOption:        &streams.AppendResp_WrongExpectedVersion_ExpectedRevision{ExpectedRevision: 7},
				ExpectedRevisionOption_20_6_0: &streams.AppendResp_WrongExpectedVersion_ExpectedRevision_20_6_0{ExpectedRevision_20_6_0: 7},
				CurrentRevisionOption:         &streams.AppendResp_WrongExpectedVersion_CurrentRevision{},
				CurrentRevisionOption_20_6_0:  &streams.AppendResp_WrongExpectedVersion_CurrentRevision_20_6_0{},
			},
		},
		{
			"That a stream is there is told in new and old fields", "s",
			&streams.AppendReq_Options{ExpectedStreamRevision: &streams.AppendReq_Options_NoStream{NoStream: empty}},
			&answer{
				ExpectedRevisionOption:        &streams.AppendResp_WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: empty},
				ExpectedRevisionOption_20_6_0: &streams.AppendResp_WrongExpectedVersion_ExpectedRevision_20_6_0{ExpectedRevision_20_6_0: math.MaxUint64},
				CurrentRevisionOption:         &streams.AppendResp_WrongExpectedVersion_CurrentRevision{},
				CurrentRevisionOption_20_6_0:  &streams.AppendResp_WrongExpectedVersion_CurrentRevision_20_6_0{},
			},
		},
		{
			"The largest revision is no stream, as old clients say it", "s",
			&streams.AppendReq_Options{ExpectedStreamRevision: &streams.AppendReq_Options_Revision{Revision: math.MaxUint64}},
			&answer{
				ExpectedRevisionOption:        &streams.AppendResp_WrongExpectedVersion_ExpectedNoStream{ExpectedNoStream: empty},
				ExpectedRevisionOption_20_6_0: &streams.AppendResp_WrongExpectedVersion_ExpectedRevision_20_6_0{ExpectedRevision_20_6_0: math.MaxUint64},
				CurrentRevisionOption:         &streams.AppendResp_WrongExpectedVersion_CurrentRevision{},
				CurrentRevisionOption_20_6_0:  &streams.AppendResp_WrongExpectedVersion_CurrentRevision_20_6_0{},
			},
		},
		{
			"That no stream is there is told in new and old fields", "t",
			&streams.AppendReq_Options{ExpectedStreamRevision: &streams.AppendReq_Options_StreamExists{StreamExists: empty}},
			&answer{
				ExpectedRevisionOption:        &streams.AppendResp_WrongExpectedVersion_ExpectedStreamExists{ExpectedStreamExists: empty},
				ExpectedRevisionOption_20_6_0: &streams.AppendResp_WrongExpectedVersion_StreamExists_20_6_0{StreamExists_20_6_0: empty},
				CurrentRevisionOption:         &streams.AppendResp_WrongExpectedVersion_CurrentNoStream{CurrentNoStream: empty},
				CurrentRevisionOption_20_6_0:  &streams.AppendResp_WrongExpectedVersion_NoStream_20_6_0{NoStream_20_6_0: empty},
			},
		},
	} {
		rules = append(rules, rule{name: r.rule, ask: func(t *testing.T, server Server) {
			w := newWire(t, server)
			w.given("append any: a")
			got, err := w.send(r.stream, r.expected, proposal(textID(), "order-placed"))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(r.want, got.GetWrongExpectedVersion(), protocmp.Transform()); diff != "" {
				t.Errorf("answer (-want +got):\n%s", diff)
			}
		}})
	}
	return append(rules, rule{name: "That a part of an append is known is told to those who expect nothing, in new and old fields", ask: func(t *testing.T, server Server) {
		w := newWire(t, server)
		if _, err := w.send("s", nil, proposal(textID(), "order-placed")); err != nil {
			t.Fatal(err)
		}
		other := halvesID()
		other.GetStructured().LeastSignificantBits++
		got, err := w.send("s", nil, proposal(textID(), "order-placed"), proposal(other, "order-paid"))
		if err != nil {
			t.Fatal(err)
		}
		if wrong := got.GetWrongExpectedVersion(); wrong.GetExpectedAny() == nil || wrong.GetAny_20_6_0() == nil {
			t.Errorf("answer %v does not say any", got)
		}
	}})
}
