package position_test

import (
	"encoding/base64"
	"errors"
	"testing"

	"pgregory.net/rapid"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/position"
)

func TestAPositionIsThatOfItsEventWhateverTheVersion(t *testing.T) {
	want := position.Position{Source: "/orderflow/order", Subject: "o", Name: "order.events.placed", Sequence: 3}
	for _, typ := range []string{"order.events.placed.v1", "order.events.placed.v20"} {
		if got := position.Of(eventbus.Event{Source: "/orderflow/order", Subject: "o", Type: typ, Sequence: 3}); got != want {
			t.Errorf("%s: %+v", typ, got)
		}
	}
	if got := position.NameOf("order.events.very.v1.odd"); got != "order.events.very.v1.odd" {
		t.Errorf("only what ends a type is its version: %s", got)
	}
}

func TestAPositionComesBackFromItsToken(t *testing.T) {
	text := rapid.StringMatching(`[^\x00]+`)
	rapid.Check(t, func(r *rapid.T) {
		p := position.Position{
			Source: text.Draw(r, "source"), Subject: text.Draw(r, "subject"), Name: text.Draw(r, "name"),
			Sequence: rapid.Int64Range(0, 1<<62).Draw(r, "sequence"),
		}
		for _, c := range p.String() {
			if c != '-' && c != '_' && (c < '0' || c > '9') && (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') {
				r.Fatalf("%q cannot stand in a header and a query as it is", p.String())
			}
		}
		if back, err := position.Parse(p.String()); err != nil || back != p {
			r.Errorf("%+v became %+v, %v", p, back, err)
		}
	})
}

func TestWhatIsNoTokenIsRefused(t *testing.T) {
	encode := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	for _, token := range []string{
		"", "!", "AAAA", encode(`{}`), encode(`[]`), encode(`null`), encode(`["a","b","c"]`), encode(`["a","b","c",1,2]`),
		encode(`["a","b","c",-1]`), encode(`["a","b","c",1.5]`), encode(`["a","b","c","1"]`), encode(`["a","b","c",null]`),
		encode(`["","b","c",1]`), encode(`["a","","c",1]`), encode(`["a","b","",1]`), encode(`["a\u0000","b","c",1]`),
		encode(`["a","b","c",1`), encode(`["a","b","c",1]x`), encode(`["a","b","c",1]`) + "=",
	} {
		if p, err := position.Parse(token); !errors.Is(err, position.ErrMalformed) {
			t.Errorf("%q: %+v, %v", token, p, err)
		}
	}
}

func FuzzParse(f *testing.F) {
	f.Add(position.Position{Source: "a", Subject: "b", Name: "c", Sequence: 4}.String())
	f.Add("WyJhIl0")
	f.Fuzz(func(t *testing.T, token string) {
		if p, err := position.Parse(token); err == nil {
			if again, err := position.Parse(p.String()); err != nil || again != p {
				t.Errorf("%q: %+v, then %+v, %v", token, p, again, err)
			}
		}
	})
}
