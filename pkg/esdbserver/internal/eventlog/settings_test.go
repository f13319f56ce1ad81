package eventlog

import (
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestMetadataIsReadLeniently(t *testing.T) {
	for _, test := range []struct {
		name, data string
		binary     bool
		want       settings
	}{
		{name: "nothing that concerns the server", data: `{"owner":"x","$acl":{"$r":"$all"},"$cacheControl":5}`, want: settings{exists: true}},
		{name: "everything", data: `{"$maxCount":3,"$maxAge":60,"$tb":7}`, want: settings{exists: true, maxCount: 3, maxAge: time.Minute, truncateBefore: 7}},
		{name: "limits that are not positive", data: `{"$maxCount":0,"$maxAge":-1,"$tb":-7}`, want: settings{exists: true}},
		{name: "an age beyond what a duration holds", data: `{"$maxAge":9223372036854775807}`, want: settings{exists: true, maxAge: 9223372036 * time.Second}},
		{name: "deletion", data: `{"$tb":9223372036854775807}`, want: settings{exists: true, truncateBefore: math.MaxInt64}},
		{name: "names that differ in case, which are the user's", data: `{"$MaxCount":3,"$TB":9223372036854775807}`, want: settings{exists: true}},
		{name: "a setting of null", data: `{"$maxCount":null,"$tb":7}`, want: settings{exists: true, truncateBefore: 7}},
		{name: "a setting of another type", data: `{"$maxCount":"3"}`, want: settings{exists: true}},
		{name: "no object", data: `[1]`, want: settings{exists: true}},
		{name: "null", data: `null`, want: settings{exists: true}},
		{name: "malformed", data: `{"$maxCount":3`, want: settings{exists: true}},
		{name: "empty", data: ``, want: settings{exists: true}},
		{name: "not declared as JSON", data: `{"$maxCount":3}`, binary: true, want: settings{exists: true}},
	} {
		t.Run(test.name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, parseSettings(!test.binary, []byte(test.data)), cmp.AllowUnexported(settings{})); diff != "" {
				t.Errorf("settings (-want +got):\n%s", diff)
			}
		})
	}
}

func TestUndeletingKeepsTheRestOfTheMetadata(t *testing.T) {
	for _, test := range []struct {
		name, data string
		binary     bool
		want       string
	}{
		{name: "only the deletion", data: `{"$tb":9223372036854775807}`, want: `{"$tb":4}`},
		{name: "other keys too", data: `{"$tb":9223372036854775807,"a":[1, 2]}`, want: `{"$tb":4,"a":[1,2]}`},
		{name: "no $tb", data: `{"a":1}`, want: `{"$tb":4,"a":1}`},
		{name: "no object", data: `7`},
		{name: "null", data: `null`},
		{name: "not declared as JSON", data: `{}`, binary: true},
	} {
		t.Run(test.name, func(t *testing.T) {
			event, ok, err := undeletion(!test.binary, []byte(test.data), 4)
			if err != nil || ok != (test.want != "") {
				t.Fatalf("ok %t, %v", ok, err)
			}
			if diff := cmp.Diff(test.want, string(event.Data)); diff != "" {
				t.Errorf("metadata (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSizeCountsTheTypeInUTF16(t *testing.T) {
	for eventType, want := range map[string]int{"": 0, "abc": 6, "ü": 2, "🚚": 4, "\xff": 2} {
		p := Proposed{Type: eventType, Data: make([]byte, 10), Metadata: make([]byte, 5)}
		if got := p.Size(); got != 15+want {
			t.Errorf("%q: %d, want %d", eventType, got, 15+want)
		}
	}
}

func TestCacheForgetsWhatWasNotUsedLately(t *testing.T) {
	g := newGenerations[int, string](3, func(int) int { return 1 })
	g.put(0, "used")
	for i := 1; i <= 100; i++ {
		g.put(i, "new")
		if v, ok := g.get(0); !ok || v != "used" {
			t.Fatalf("forgot an entry that is used all the time, after %d others", i)
		}
		if n := len(g.young) + len(g.old); n > 6 {
			t.Fatalf("%d entries are kept", n)
		}
	}
	if _, ok := g.get(1); ok {
		t.Error("remembers an entry that was not used")
	}
	g.clear()
	if _, ok := g.get(0); ok {
		t.Error("remembers after being cleared")
	}
}

func TestCacheIsBoundedByTheLengthOfItsKeys(t *testing.T) {
	g := newGenerations[string, bool](1000, func(key string) int { return len(key) })
	for i := range 100 {
		key := strings.Repeat(string(rune('a'+i%26)), 400+i)
		g.put(key, true)
		g.put(key, true) // no heavier for it
		if n := len(g.young) + len(g.old); n > 4 {
			t.Fatalf("%d entries are kept", n)
		}
	}
	huge := strings.Repeat("h", 5000)
	g.put(huge, true)
	if ok, _ := g.get(huge); !ok {
		t.Error("an entry heavier than the limit is not kept for once")
	}
	g.put("next", true)
	g.put(strings.Repeat("n", 999), true)
	if _, ok := g.get(huge); ok {
		t.Error("an entry heavier than the limit stays")
	}
}
