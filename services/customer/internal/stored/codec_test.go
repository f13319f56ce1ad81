package stored_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"orderflow/pkg/es"
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
	newest  bool // this is what is written today
	means   domain.Event
}{
	{stored.Registered, 1, true, domain.Registered{
		Contact: domain.Contact{Name: "Ann Grüße", Email: "ann@example.com"},
		Address: domain.Address{Line1: "Markt 1", Line2: "3rd floor", City: "Delft", Postcode: "2611 GP", Country: "NL"},
		At:      time.Date(2026, 3, 14, 15, 9, 26, 535897932, time.UTC),
	}},
	{stored.ContactChanged, 1, true, domain.ContactChanged{
		Contact: domain.Contact{Name: "Anna Doe", Email: "anna@example.com"}, At: time.Date(2026, 3, 15, 8, 0, 0, 0, time.UTC),
	}},
	{stored.AddressChanged, 1, true, domain.AddressChanged{
		Address: domain.Address{Line1: "Oudegracht 2", City: "Utrecht", Postcode: "3511 AB", Country: "NL"},
		At:      time.Date(2026, 3, 15, 9, 0, 0, 500_000_000, time.UTC),
	}},
	{stored.Deactivated, 1, true, domain.Deactivated{Reason: "moved away", At: time.Date(2026, 3, 16, 10, 0, 0, 0, time.UTC)}},
	{stored.Forgotten, 1, true, domain.Forgotten{At: time.Date(2026, 3, 17, 11, 0, 0, 0, time.UTC)}},
}

func file(typ string, version int) string {
	return filepath.Join("testdata", typ+".v"+string(rune('0'+version))+".json")
}

func recorded(typ string, version int, data []byte) es.Recorded {
	return es.Recorded{Type: typ, Stream: es.StreamName("customer", customer), Data: data, Metadata: es.Metadata{Version: version}}
}

func TestEveryVersionEverWrittenIsRead(t *testing.T) {
	codec := stored.Codec{Sealer: glass{}}
	for _, golden := range goldens {
		t.Run(filepath.Base(file(golden.typ, golden.version)), func(t *testing.T) {
			text, err := os.ReadFile(file(golden.typ, golden.version))
			if err != nil {
				t.Fatal(err)
			}
			events, err := codec.Decode(t.Context(), recorded(golden.typ, golden.version, text))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]domain.Event{golden.means}, events); diff != "" {
				t.Error(diff)
			}
			if !golden.newest {
				return
			}
			encoded, err := codec.Encode(t.Context(), customer, golden.means)
			if err != nil {
				t.Fatal(err)
			}
			if encoded.Type != golden.typ || encoded.Version != golden.version {
				t.Errorf("written as %s version %d", encoded.Type, encoded.Version)
			}
			var indented bytes.Buffer
			if err := json.Indent(&indented, encoded.Data, "", "  "); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(strings.TrimSpace(string(text)), indented.String()); diff != "" {
				t.Errorf("it is no longer written as it was: add a version instead\n%s", diff)
			}
		})
	}
}

func TestEveryGoldenFileIsRead(t *testing.T) {
	found, err := filepath.Glob(filepath.Join("testdata", "*"))
	if err != nil {
		t.Fatal(err)
	}
	listed := map[string]bool{}
	for _, golden := range goldens {
		listed[file(golden.typ, golden.version)] = true
	}
	for _, path := range found {
		if !listed[path] {
			t.Errorf("%s is read by no test", path)
		}
	}
	if len(found) != len(listed) {
		t.Errorf("%d files for %d versions", len(found), len(listed))
	}
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
		"unknown version":   {recorded(stored.Deactivated, 2, left), "unknown version 2"},
		"no version":        {recorded(stored.Deactivated, 0, left), "unknown version 0"},
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

// TestPersonalDataIsStoredBelowTheSealOnly seals with the real vault.
func TestPersonalDataIsStoredBelowTheSealOnly(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		if err := sqldb.Migrate(t.Context(), db, "customer", os.DirFS("../../migrations")); err != nil {
			t.Fatal(err)
		}
		for _, golden := range goldens {
			encoded, err := stored.Codec{Sealer: vault.New(db)}.Encode(t.Context(), customer, golden.means)
			if err != nil {
				t.Fatal(err)
			}
			for _, personal := range []string{
				"Ann ", "Anna Doe", "Grüße", "example.com", "Markt", "3rd floor", "Delft", "2611 GP", "Oudegracht", "Utrecht", "3511 AB",
				`"NL`, "moved away",
			} {
				if strings.Contains(string(encoded.Data), personal) {
					t.Errorf("%s shows %q: %s", golden.typ, personal, encoded.Data)
				}
			}
			events, err := stored.Codec{Sealer: vault.New(db)}.Decode(t.Context(), recorded(encoded.Type, encoded.Version, encoded.Data))
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff([]domain.Event{golden.means}, events); diff != "" {
				t.Error(diff)
			}
		}
	})
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
