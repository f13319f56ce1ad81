package announce_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"orderflow/contracts/contractstest"
	"orderflow/pkg/cause"
	"orderflow/pkg/es"
	"orderflow/pkg/eventbus"
	"orderflow/services/customer/internal/announce"
	"orderflow/services/customer/internal/domain"
	"orderflow/services/customer/internal/stored"
	"orderflow/services/customer/internal/vault"
)

var (
	customer = uuid.MustParse("01928f3e-5b7a-7c1d-9e2f-3a4b5c6d7e8f")
	at       = time.Date(2026, 3, 14, 15, 9, 26, 535897932, time.UTC)
	ann      = domain.Contact{Name: "Ann Grüße", Email: "ann@example.com"}
	delft    = domain.Address{Line1: "Markt 1", City: "Delft", Postcode: "2611 GP", Country: "NL"}
	utrecht  = domain.Address{Line1: "Oudegracht 2", Line2: "3rd floor", City: "Utrecht", Postcode: "3511 AB", Country: "NL"}
)

// open is a seal that is none.
type open struct{}

func (open) Seal(_ context.Context, _ uuid.UUID, _ string, text []byte) (string, error) {
	return string(text), nil
}

func (open) Open(_ context.Context, _ uuid.UUID, _, sealed string) ([]byte, error) {
	return []byte(sealed), nil
}

var translator = announce.Translator{Codec: stored.Codec{Sealer: open{}}}

// committed is an event as the log holds it.
func committed(t *testing.T, revision es.Revision, event domain.Event) es.Recorded {
	t.Helper()
	encoded, err := translator.Codec.Encode(t.Context(), customer, event)
	if err != nil {
		t.Fatal(err)
	}
	command := uuid.MustParse("6cb741bd-2a3c-5f75-af30-22264140a485")
	return es.Recorded{
		ID:     cause.Cause{ID: command}.EventID(es.StreamName("customer", customer), int(revision)),
		Stream: es.StreamName("customer", customer), Revision: revision, Type: encoded.Type, Data: encoded.Data,
		Metadata: es.Metadata{
			Version: encoded.Version, CorrelationID: "8c52", CausationID: command.String(),
			TraceParent: "00-c6527528934c5d8f86b9ca8ef73cb85e-a5d0f1c71b6758f2-01",
		},
		At: at.Add(time.Second),
	}
}

var story = []struct {
	event domain.Event
	typ   string
	data  string
}{
	{
		domain.Registered{Contact: ann, Address: delft, At: at},
		"customer.events.created.v1",
		`{"customerId":"01928f3e-5b7a-7c1d-9e2f-3a4b5c6d7e8f","name":"Ann Grüße","email":"ann@example.com",` +
			`"address":{"line1":"Markt 1","city":"Delft","postcode":"2611 GP","country":"NL"},"occurredAt":"2026-03-14T15:09:26.535897932Z"}`,
	},
	{
		domain.ContactChanged{Contact: ann, At: at},
		"customer.events.contact_changed.v1",
		`{"customerId":"01928f3e-5b7a-7c1d-9e2f-3a4b5c6d7e8f","name":"Ann Grüße","email":"ann@example.com",` +
			`"occurredAt":"2026-03-14T15:09:26.535897932Z"}`,
	},
	{
		domain.AddressChanged{Address: utrecht, At: at},
		"customer.events.address_changed.v1",
		`{"customerId":"01928f3e-5b7a-7c1d-9e2f-3a4b5c6d7e8f","address":{"line1":"Oudegracht 2","line2":"3rd floor",` +
			`"city":"Utrecht","postcode":"3511 AB","country":"NL"},"occurredAt":"2026-03-14T15:09:26.535897932Z"}`,
	},
	{
		domain.Deactivated{Reason: "moved away", At: at},
		"customer.events.deactivated.v1",
		`{"customerId":"01928f3e-5b7a-7c1d-9e2f-3a4b5c6d7e8f","reason":"moved away","occurredAt":"2026-03-14T15:09:26.535897932Z"}`,
	},
	{
		domain.Forgotten{At: at},
		"customer.events.forgotten.v1",
		`{"customerId":"01928f3e-5b7a-7c1d-9e2f-3a4b5c6d7e8f","occurredAt":"2026-03-14T15:09:26.535897932Z"}`,
	},
}

// Announcing is pure: a relay that died announces the same events again, and by
// their ids consumers know that they are the same.
func TestEveryEventIsAnnouncedByItsContractAndTheSameEveryTime(t *testing.T) {
	seen := map[string]bool{}
	var all []eventbus.Event
	for i, chapter := range story {
		t.Run(chapter.typ, func(t *testing.T) {
			r := committed(t, es.Revision(i), chapter.event)
			want := []eventbus.Event{{
				ID: cause.IntegrationID(r.ID, chapter.typ).String(), Source: "/orderflow/customer", Type: chapter.typ,
				Subject: customer.String(), Time: at, DataContentType: "application/json", Data: []byte(chapter.data),
				CorrelationID: "8c52", CausationID: r.ID.String(), TraceParent: r.Metadata.TraceParent, Sequence: int64(i),
			}}
			for range 2 {
				got, err := translator.Translate(t.Context(), r)
				if err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, got); diff != "" {
					t.Error(diff)
				}
			}
			all = append(all, want...)
			if seen[want[0].ID] {
				t.Error("two facts share an id")
			}
			seen[want[0].ID] = true
		})
	}
	contractstest.Publishes(t, "/orderflow/customer", all)
}

func TestAnEventThatCannotBeReadIsNotAnnounced(t *testing.T) {
	r := committed(t, 1, domain.Deactivated{Reason: "moved away", At: at})
	r.Metadata.Version = 9
	if announced, err := translator.Translate(t.Context(), r); err == nil {
		t.Errorf("announced %v", announced)
	}
}

// destroyed is a sealer without the key.
type destroyed struct{ stored.Sealer }

func (destroyed) Open(context.Context, uuid.UUID, string, string) ([]byte, error) {
	return nil, vault.ErrForgotten
}

// What is announced late, or again, keeps its contract and its id, and says
// nothing of who it was.
func TestWhatIsAnnouncedOfOneWhoIsForgottenSaysSo(t *testing.T) {
	late := announce.Translator{Codec: stored.Codec{Sealer: destroyed{translator.Codec.Sealer}}}
	for i, chapter := range story {
		r := committed(t, es.Revision(i), chapter.event)
		before, err := translator.Translate(t.Context(), r)
		if err != nil {
			t.Fatal(err)
		}
		got, err := late.Translate(t.Context(), r)
		if err != nil || len(got) != 1 {
			t.Fatalf("%s: %v, %v", chapter.typ, got, err)
		}
		contractstest.Valid(t, got[0])
		text := string(got[0].Data)
		for _, personal := range []string{"Ann", "example.com", "Markt", "Delft", "Oudegracht", "Utrecht", "moved"} {
			if strings.Contains(text, personal) {
				t.Errorf("%s says %s", chapter.typ, text)
			}
		}
		got[0].Data, before[0].Data = nil, nil
		if diff := cmp.Diff(before, got); diff != "" {
			t.Errorf("%s is another event: %s", chapter.typ, diff)
		}
	}
}
