package stored_test

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"orderflow/pkg/es"
	"orderflow/pkg/es/estest"
	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
	"orderflow/services/customer/internal/domain"
	"orderflow/services/customer/internal/stored"
	"orderflow/services/customer/internal/vault"
)

var customer = uuid.MustParse("01928f3e-5b7a-7c1d-9e2f-3a4b5c6d7e8f")

// glass seals nothing: it writes down for whom and where, and insists on it.
// With it the goldens show what is below the seal.
type glass struct{}

var errNotForYou = errors.New("sealed for somebody or something else")

func (glass) Seal(_ context.Context, customer uuid.UUID, place string, text []byte) (string, error) {
	return customer.String() + "/" + place + "/" + string(text), nil
}

func (glass) Open(_ context.Context, customer uuid.UUID, place, sealed string) ([]byte, error) {
	text, ok := strings.CutPrefix(sealed, customer.String()+"/"+place+"/")
	if !ok {
		return nil, errNotForYou
	}
	return []byte(text), nil
}

// goldens are the events as they were written, one file a version in testdata,
// with glass for a seal. A line, once here, is never changed or removed.
var goldens = []struct {
	typ     string
	version int
	means   domain.Event
}{
	{stored.Registered, 1, domain.Registered{
		Contact: domain.Contact{Name: "Ann Grüße", Email: "ann@example.com"},
		Address: domain.Address{Line1: "Markt 1", Line2: "3rd floor", City: "Delft", Postcode: "2611 GP", Country: "NL"},
		At:      time.Date(2026, 3, 14, 15, 9, 26, 535897932, time.UTC),
	}},
	{stored.ContactChanged, 1, domain.ContactChanged{
		Contact: domain.Contact{Name: "Anna Doe", Email: "anna@example.com"}, At: time.Date(2026, 3, 15, 8, 0, 0, 0, time.UTC),
	}},
	{stored.AddressChanged, 1, domain.AddressChanged{
		Address: domain.Address{Line1: "Oudegracht 2", City: "Utrecht", Postcode: "3511 AB", Country: "NL"},
		At:      time.Date(2026, 3, 15, 9, 0, 0, 500_000_000, time.UTC),
	}},
	{stored.Deactivated, 1, domain.Deactivated{Reason: "moved away", At: time.Date(2026, 3, 16, 10, 0, 0, 0, time.UTC)}},
	{stored.Forgotten, 1, domain.Forgotten{At: time.Date(2026, 3, 17, 11, 0, 0, 0, time.UTC)}},
}

func recorded(typ string, version int, data []byte) es.Recorded {
	return es.Recorded{Type: typ, Stream: es.StreamName("customer", customer), Data: data, Metadata: es.Metadata{Version: version}}
}

func TestEveryVersionEverWrittenIsRead(t *testing.T) {
	all := estest.Goldens[domain.Event]{Codec: stored.Codec{Sealer: glass{}}, Schemas: stored.Schemas(), Aggregate: customer}
	for _, g := range goldens {
		all.List = append(all.List, estest.Golden[domain.Event]{Type: g.typ, Version: g.version, Means: []domain.Event{g.means}})
	}
	all.Check(t)
}

// What cannot be understood is never taken for something else.
func TestWhatIsNotUnderstoodIsAnError(t *testing.T) {
	codec := stored.Codec{Sealer: glass{}}
	below := func(typ, personal string) []byte {
		text, err := json.Marshal(map[string]string{
			"at": "2026-03-14T16:00:00Z", "personal": customer.String() + "/" + typ + "/" + personal,
		})
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	left := below(stored.Deactivated, `{"reason":"x"}`)
	noMetadata := recorded(stored.Deactivated, 1, left)
	noMetadata.Unreadable = es.ErrUnreadable
	for name, test := range map[string]struct {
		recorded es.Recorded
		says     string
	}{
		"unknown type":      {recorded("customer-cloned", 1, left), `unknown event type "customer-cloned"`},
		"unknown version":   {recorded(stored.Deactivated, 2, left), "version 2 was written by a newer program"},
		"no version":        {recorded(stored.Deactivated, 0, left), "has version 0"},
		"no metadata":       {noMetadata, es.ErrUnreadable.Error()},
		"no JSON":           {recorded(stored.Deactivated, 1, []byte("left")), "invalid character"},
		"no JSON inside":    {recorded(stored.Deactivated, 1, below(stored.Deactivated, "left")), "invalid character"},
		"another's":         {recorded(stored.ContactChanged, 1, left), errNotForYou.Error()},
		"no contact":        {recorded(stored.ContactChanged, 1, below(stored.ContactChanged, `{}`)), "contact missing"},
		"no address":        {recorded(stored.AddressChanged, 1, below(stored.AddressChanged, `{}`)), "address missing"},
		"half a registered": {recorded(stored.Registered, 1, below(stored.Registered, `{"contact":{"name":"A","email":"a@b"}}`)), "missing"},
	} {
		t.Run(name, func(t *testing.T) {
			events, err := codec.Decode(t.Context(), test.recorded)
			if err == nil || !strings.Contains(err.Error(), test.says) {
				t.Errorf("%#v, %v; want an error with %q", events, err, test.says)
			}
		})
	}
}

// TestEveryTextOfAnEventIsStoredBelowTheSeal fills every text that an event has,
// whatever fields that are, with one that can be found again, and seals with the
// real vault. A new field of an event is sealed, or this fails.
func TestEveryTextOfAnEventIsStoredBelowTheSeal(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		if err := sqldb.Migrate(t.Context(), db, "customer", os.DirFS("../../migrations")); err != nil {
			t.Fatal(err)
		}
		const secret = "Xanthippe"
		texts := 0
		for _, golden := range goldens {
			filled := reflect.New(reflect.TypeOf(golden.means)).Elem()
			filled.Set(reflect.ValueOf(golden.means)) // its time stays
			texts += fill(t, filled, secret)
			event, ok := filled.Interface().(domain.Event)
			if !ok {
				t.Fatalf("%s is no event", filled.Type())
			}
			encoded, err := stored.Codec{Sealer: vault.New(db)}.Encode(t.Context(), customer, event)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(string(encoded.Data), secret) {
				t.Errorf("%s shows what is personal: %s", golden.typ, encoded.Data)
			}
			events, err := stored.Codec{Sealer: vault.New(db)}.Decode(t.Context(), recorded(encoded.Type, encoded.Version, encoded.Data))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]domain.Event{event}, events); diff != "" {
				t.Error(diff)
			}
		}
		if texts < 15 {
			t.Errorf("only %d texts in all events", texts)
		}
	})
}

// fill puts a text into every text in a value, and returns how many there are.
// What it does not know could hide one.
func fill(t *testing.T, v reflect.Value, text string) (texts int) {
	t.Helper()
	switch {
	case v.Type() == reflect.TypeFor[time.Time]():
	case v.Kind() == reflect.String:
		v.SetString(text)
		texts++
	case v.Kind() == reflect.Struct:
		for i := range v.NumField() {
			texts += fill(t, v.Field(i), text)
		}
	default:
		t.Fatalf("%s may be personal too: teach this test to fill it", v.Type())
	}
	return texts
}

// TestWhatWasSealedReadsAsForgotten destroys the key of what was stored. Without
// one that was destroyed, or with one that cannot be had, nothing is made up.
func TestWhatWasSealedReadsAsForgotten(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, inner sqldb.DB) {
		if err := sqldb.Migrate(t.Context(), inner, "customer", os.DirFS("../../migrations")); err != nil {
			t.Fatal(err)
		}
		db := &sqldbtest.Cuttable{DB: inner}
		keys := vault.New(db)
		var encoded []es.Encoded
		for _, golden := range goldens {
			e, err := stored.Codec{Sealer: keys}.Encode(t.Context(), customer, golden.means)
			if err != nil {
				t.Fatal(err)
			}
			encoded = append(encoded, e)
		}
		decode := func(i int) (domain.Event, error) {
			e := encoded[i]
			events, err := stored.Codec{Sealer: vault.New(db)}.Decode(t.Context(), recorded(e.Type, e.Version, e.Data))
			if err != nil {
				return nil, err
			}
			return events[0], nil
		}
		db.Cut(true)
		if _, err := decode(0); !errors.Is(err, vault.ErrUnavailable) {
			t.Errorf("while the keys are away: %v", err)
		}
		db.Cut(false)
		if err := keys.Destroy(t.Context(), customer); err != nil {
			t.Fatal(err)
		}
		nobody := domain.Contact{Name: "forgotten", Email: "forgotten@customer.invalid"}
		nowhere := domain.Address{Line1: "forgotten", City: "forgotten", Postcode: "forgotten", Country: "ZZ"}
		for i, golden := range goldens {
			want := golden.means
			switch e := want.(type) {
			case domain.Registered:
				want = domain.Registered{Contact: nobody, Address: nowhere, At: e.At}
			case domain.ContactChanged:
				want = domain.ContactChanged{Contact: nobody, At: e.At}
			case domain.AddressChanged:
				want = domain.AddressChanged{Address: nowhere, At: e.At}
			case domain.Deactivated:
				want = domain.Deactivated{Reason: "forgotten", At: e.At}
			case domain.Forgotten:
			}
			got, err := decode(i)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Error(diff)
			}
		}
		sqldbtest.Exec(t, inner, `DELETE FROM customer_key`)
		if event, err := decode(0); !errors.Is(err, vault.ErrNoKey) {
			t.Errorf("without a key that was destroyed: %v, %v", event, err)
		}
	})
}
