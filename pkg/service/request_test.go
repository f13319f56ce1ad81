package service_test

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"pgregory.net/rapid"

	"orderflow/pkg/cause"
	"orderflow/pkg/service"
)

func TestARequestTakesOverOrBeginsItsTrace(t *testing.T) {
	w := newWorld(t)
	causes := make(chan cause.Cause, 1)
	w.startReady(func(_ context.Context, svc *service.Service) {
		tell := func(ctx context.Context, _ *struct{}) (*struct{}, error) {
			causes <- cause.FromContext(ctx)
			return nil, nil //nolint:nilnil // no body
		}
		service.Post(svc, "/cause", "Tell the cause", tell)
		service.Get(svc, "/cause", "Tell the cause", tell)
	})
	const parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
	form := regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-01$`)
	seen := map[uuid.UUID]bool{}
	for _, c := range []struct {
		correlation, trace           string
		keepsCorrelation, keepsTrace bool
	}{
		{"abc-1:2.3_4", parent, true, true},
		{"", "", false, false},
		{"with space", parent, false, true},
		{strings.Repeat("x", 101), "00-xyz", false, false},
		{"<script>", "00-" + strings.Repeat("0", 32) + "-b7ad6b7169203331-01", false, false},
		{"a", "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", true, false},
		{"a", "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", true, false},
	} {
		for _, method := range []string{http.MethodPost, http.MethodGet} {
			a := w.ask(method, "/cause", "", "X-Correlation-ID: "+c.correlation, "Traceparent: "+c.trace)
			got := <-causes
			if got.Request != method+" /cause" || got.ID.Version() != 7 || seen[got.ID] || got.At.IsZero() {
				t.Errorf("cause %+v", got)
			}
			seen[got.ID] = true
			if (got.CorrelationID == c.correlation) != c.keepsCorrelation || !c.keepsCorrelation && got.CorrelationID != got.ID.String() {
				t.Errorf("correlation %q became %q", c.correlation, got.CorrelationID)
			}
			if (got.TraceParent == c.trace) != c.keepsTrace || !form.MatchString(got.TraceParent) {
				t.Errorf("trace %q became %q", c.trace, got.TraceParent)
			}
			if a.header.Get("X-Correlation-ID") != got.CorrelationID {
				t.Errorf("answered correlation %q", a.header.Get("X-Correlation-ID"))
			}
		}
	}
}

func TestIfMatchTakesWhatETagWrites(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		version := rapid.Int64Range(0, 1<<53).Draw(rt, "version")
		match, err := service.IfMatch(service.ETag(version))
		if err != nil || !match.Allows(version) || match.Allows(version+1) {
			rt.Errorf("%d became %v, %v", version, match, err)
		}
	})
	anything := service.Match{}
	for header, want := range map[string]service.Match{
		"": anything, "  ": anything, "*": anything, ` "3" `: service.Only(3), `"1", "2"`: service.Only(1, 2), `"1",W/"2",, "x" ,"7"`: service.Only(1, 7),
		"3": service.Only(), `"-1"`: service.Only(), `"+3"`: service.Only(), `"03"`: service.Only(), `W/"3"`: service.Only(),
		`"abc"`: service.Only(), `"3`: service.Only(), `""`: service.Only(), `"1 2"`: service.Only(), `*, "x"`: service.Only(),
		`"99999999999999999999"`: service.Only(),
	} {
		match, err := service.IfMatch(header)
		if diff := cmp.Diff(want, match, cmp.AllowUnexported(service.Match{})); diff != "" {
			t.Errorf("%q: %s", header, diff)
		}
		stale := cmp.Equal(want, service.Only(), cmp.AllowUnexported(service.Match{}))
		var p *service.Problem
		if errors.As(err, &p) != stale || stale && p.Status != http.StatusPreconditionFailed {
			t.Errorf("%q: %v", header, err)
		}
		if _, err := service.Precondition(header); (err != nil) != stale {
			t.Errorf("precondition %q: %v", header, err)
		}
	}
}

// Whoever names a header asks for what it protects from. Without a value there is
// no such protection, and nothing is done.
func TestAHeaderThatSaysNothingIsRefused(t *testing.T) {
	w := newWorld(t)
	type conditions struct {
		IfMatch string `header:"If-Match"`
		Key     string `header:"Idempotency-Key"`
	}
	taken := make(chan conditions, 1)
	w.startReady(func(_ context.Context, svc *service.Service) {
		service.Post(svc, "/changed", "Change it", func(_ context.Context, in *conditions) (*struct{}, error) {
			taken <- *in
			return nil, nil //nolint:nilnil // no body
		})
	})
	for _, c := range []struct {
		headers []string
		field   string
	}{
		{[]string{"If-Match: "}, "header.If-Match: is empty"},
		{[]string{"If-Match: , ,"}, "header.If-Match: is empty"},
		{[]string{"Idempotency-Key:  "}, "header.Idempotency-Key: is empty"},
		{[]string{"Idempotency-Key: a", "Idempotency-Key: b"}, "header.Idempotency-Key: is there more than once"},
	} {
		a := w.ask(http.MethodPost, "/changed", "", c.headers...)
		if a.status != http.StatusUnprocessableEntity || fields(problem(t, a)) != c.field {
			t.Errorf("%v: %d %s", c.headers, a.status, a.body)
		}
	}
	if len(taken) > 0 {
		t.Errorf("it was done with %+v", <-taken)
	}
	a := w.ask(http.MethodPost, "/changed", "", `If-Match: "1"`, `If-Match: "2"`, "Idempotency-Key: a")
	if got := <-taken; a.status >= 300 || got != (conditions{`"1", "2"`, "a"}) {
		t.Errorf("%d with %+v", a.status, got)
	}
}

func TestACursorComesBackAsItWasWritten(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		at, id := rapid.Int64().Draw(rt, "at"), strings.ReplaceAll(rapid.String().Draw(rt, "id"), "\x00", "")
		query := service.PageQuery{Cursor: service.Cursor(at, id)}
		var gotAt int64
		var gotID string
		ok, err := query.Key(&gotAt, &gotID)
		if valid := strings.ToValidUTF8(id, "\ufffd"); !ok || err != nil || gotAt != at || gotID != valid {
			rt.Errorf("(%d, %q) became (%d, %q), %v, %v", at, id, gotAt, gotID, ok, err)
		}
	})
	var at int64
	var id string
	if ok, err := (service.PageQuery{}).Key(&at); ok || err != nil {
		t.Errorf("no cursor: %v, %v", ok, err)
	}
	if ok, err := (service.PageQuery{Cursor: service.Cursor(1, "a\x00")}).Key(&at, &id); ok || err == nil {
		t.Error("a text that PostgreSQL cannot hold was taken")
	}
}

func FuzzRubbishIsNoCursor(f *testing.F) {
	for _, seed := range []string{"x", "bnVsbA", service.Cursor(1), service.Cursor("a", 1), service.Cursor(nil, nil), service.Cursor(1, "\x00"), service.Cursor(1, "a", 2), service.Cursor(1.5, "a")} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		var at int64
		var id string
		ok, err := service.PageQuery{Cursor: text}.Key(&at, &id)
		if text == "" {
			return
		}
		var p *service.Problem
		switch {
		case ok == (err != nil):
			t.Errorf("%q: %v, %v", text, ok, err)
		case err != nil && (!errors.As(err, &p) || p.Status != http.StatusUnprocessableEntity || p.Errors[0].Location != "query.cursor"):
			t.Errorf("%q: %v", text, err)
		}
	})
}

func TestAPageIsCutWhereTheNextBegins(t *testing.T) {
	key := func(n int) []any { return []any{n} }
	for _, c := range []struct{ rows, limit, items, last int }{{0, 2, 0, 0}, {1, 2, 1, 0}, {2, 2, 2, 0}, {3, 2, 2, 2}} {
		rows := []int{1, 2, 3}[:c.rows]
		page := service.PageOf(rows, c.limit, key)
		last := 0
		if _, err := (service.PageQuery{Cursor: page.NextCursor}).Key(&last); err != nil {
			t.Error(err)
		}
		if len(page.Items) != c.items || last != c.last || page.Items == nil {
			t.Errorf("%d rows: %+v", c.rows, page)
		}
	}
}
