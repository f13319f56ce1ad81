package service_test

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"orderflow/pkg/es"
	"orderflow/pkg/service"
)

type line struct {
	SKU      string `json:"sku"`
	Quantity int    `json:"quantity" minimum:"1"`
}

type thingInput struct {
	Body struct {
		Name  string `json:"name" maxLength:"2000000"`
		Email string `json:"email,omitempty" format:"email"`
		Lines []line `json:"lines,omitempty" maxItems:"3"`
	}
}

type listInput struct {
	service.PageQuery
	Status string `query:"status" enum:"open,done"`
}

type textOutput struct {
	ETag string `header:"ETag"`
	Body struct {
		Text string `json:"text"`
	}
}

type idInput struct {
	ID string `path:"id"`
}

var errOwn = errors.New("a rule of the service")

// things is a service with one of each.
func things(_ context.Context, svc *service.Service) {
	svc.TranslateErrors(func(err error) error {
		if errors.Is(err, errOwn) {
			return service.NewProblem(http.StatusConflict, "own-rule", err.Error()).RetryAfter("1")
		}
		return nil
	})
	answer := func(text string) *textOutput {
		out := &textOutput{ETag: service.ETag(7)}
		out.Body.Text = text
		return out
	}
	service.Create(svc, "/things", "Make a thing", func(_ context.Context, in *thingInput) (*textOutput, error) {
		return answer(fmt.Sprint(len(in.Body.Name))), nil
	})
	service.Get(svc, "/things", "List things", func(_ context.Context, in *listInput) (*textOutput, error) {
		return answer(fmt.Sprint(in.Limit, in.Status)), nil
	})
	service.Get(svc, "/things/{id}", "Show a thing", func(_ context.Context, in *idInput) (*textOutput, error) {
		id, err := service.PathID("thing", in.ID)
		if err != nil {
			return nil, err
		}
		return answer(id.String()), nil
	})
	service.Put(svc, "/things/{id}", "Replace a thing", func(context.Context, *idInput) (*textOutput, error) {
		return answer("replaced"), nil
	})
	service.Delete(svc, "/things/{id}", "Remove a thing", func(context.Context, *idInput) (*struct{}, error) {
		return nil, nil //nolint:nilnil // 204 has no body
	})
	service.Post(svc, "/fail/{id}", "Fail", func(_ context.Context, in *idInput) (*textOutput, error) {
		switch in.ID {
		case "own":
			return nil, fmt.Errorf("wrapped: %w", errOwn)
		case "panic":
			panic("secret detail")
		}
		return nil, map[string]error{
			"unknown":     errors.New("secret detail"),
			"stale":       fmt.Errorf("update: %w", es.ErrStale),
			"contended":   es.ErrContended,
			"unavailable": fmt.Errorf("x: %w", es.ErrUnavailable),
			"database":    driver.ErrBadConn,
			"late":        context.DeadlineExceeded,
			"declared":    fmt.Errorf("x: %w", service.NotFound("thing", "7")),
		}[in.ID]
	})
	svc.Router.Get("/half", func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusOK)
		panic("in the middle")
	})
	svc.Router.Get("/raw-panic", func(http.ResponseWriter, *http.Request) { panic("secret detail") })
}

func TestRequestsThatCannotBeUnderstoodAreToldWhatIsWrong(t *testing.T) {
	w := newWorld(t)
	w.startReady(things)
	for name, c := range map[string]struct {
		method, path, body string
		headers            []string
		status             int
		code, fields       string
	}{
		"malformed":             {"POST", "/things", `{"name":`, nil, 400, "malformed-body", "body: unexpected end of JSON input"},
		"no JSON":               {"POST", "/things", `{"name": secret}`, nil, 400, "malformed-body", "body: "},
		"no body":               {"POST", "/things", ``, nil, 400, "malformed-body", ""},
		"other media type":      {"POST", "/things", `name=x`, []string{"Content-Type: application/x-www-form-urlencoded"}, 415, "unsupported-media-type", ""},
		"unknown path":          {"GET", "/nothing", "", nil, 404, "not-found", ""},
		"no id":                 {"GET", "/things/17", "", nil, 404, "not-found", ""},
		"an id of another form": {"GET", "/things/0198C5A0-0000-7000-8000-000000000001", "", nil, 404, "not-found", ""},
		"missing field":         {"POST", "/things", `{}`, nil, 422, "invalid-request", "body: expected required property name"},
		"unknown field":         {"POST", "/things", `{"name":"x","more":1}`, nil, 422, "invalid-request", "body.more: unexpected property"},
		"a field of a line":     {"POST", "/things", `{"name":"x","lines":[{"sku":"a","quantity":0}]}`, nil, 422, "invalid-request", "body.lines[0].quantity: expected number >= 1"},
		"unknown line field":    {"POST", "/things", `{"name":"x","lines":[{"sku":"a","quantity":1},{"sku":"a","quantity":1,"x":1}]}`, nil, 422, "invalid-request", "body.lines[1].x: unexpected property"},
		"type":                  {"POST", "/things", `{"name":7}`, nil, 422, "invalid-request", "body.name: expected string"},
		"no whole number":       {"POST", "/things", `{"name":"x","lines":[{"sku":"a","quantity":1.5}]}`, nil, 422, "invalid-request", "body.lines[0].quantity: expected integer"},
		"no email":              {"POST", "/things", `{"name":"x","email":"secret, secret"}`, nil, 422, "invalid-request", "body.email: expected string to be RFC 5322 email"},
		"limit below":           {"GET", "/things?limit=0", "", nil, 422, "invalid-request", "query.limit: expected number >= 1"},
		"limit above":           {"GET", "/things?limit=101", "", nil, 422, "invalid-request", "query.limit: expected number <= 100"},
		"limit no number":       {"GET", "/things?limit=x", "", nil, 422, "invalid-request", "query.limit: invalid integer"},
		"status unknown":        {"GET", "/things?status=secret", "", nil, 422, "invalid-request", "query.status: expected value to be one of"},
		"unknown parameter":     {"GET", "/things?secrets=1", "", nil, 422, "invalid-request", "query.secrets: unknown query parameter"},
		"own rule":              {"POST", "/fail/own", "", nil, 409, "own-rule", ""},
		"declared":              {"POST", "/fail/declared", "", nil, 404, "not-found", ""},
		"stale":                 {"POST", "/fail/stale", "", nil, 412, "stale", ""},
		"contended":             {"POST", "/fail/contended", "", nil, 409, "contended", ""},
		"unavailable":           {"POST", "/fail/unavailable", "", nil, 503, "unavailable", ""},
		"database":              {"POST", "/fail/database", "", nil, 503, "unavailable", ""},
		"late":                  {"POST", "/fail/late", "", nil, 503, "unavailable", ""},
	} {
		t.Run(name, func(t *testing.T) {
			a := w.ask(c.method, c.path, c.body, c.headers...)
			p := problem(t, a)
			if p.Status != c.status || code(p) != c.code || !strings.HasPrefix(fields(p), c.fields) {
				t.Errorf("%d %s %q; want %d %s %q", p.Status, code(p), fields(p), c.status, c.code, c.fields)
			}
			if c.fields != "" && fields(p) == "" {
				t.Error("no field is named")
			}
			if strings.Contains(strings.ReplaceAll(a.body, "query.secrets", ""), "secret") {
				t.Errorf("a value is echoed: %s", a.body)
			}
			retry := c.status == 503 || c.code == "own-rule" || c.code == "contended"
			if got := a.header.Get("Retry-After"); (got == "1") != retry {
				t.Errorf("Retry-After %q", got)
			}
		})
	}
}

func TestABodyOfOneMiBIsTakenAndNotAByteMore(t *testing.T) {
	w := newWorld(t)
	w.startReady(things)
	frame := len(`{"name":""}`)
	for size, want := range map[int]int{1 << 20: http.StatusCreated, 1<<20 + 1: http.StatusRequestEntityTooLarge, 3 << 20: http.StatusRequestEntityTooLarge} {
		a, err := w.askErr(http.MethodPost, "/things", `{"name":"`+strings.Repeat("x", size-frame)+`"}`)
		if err != nil {
			t.Fatalf("%d bytes: %v", size, err)
		}
		if a.status != want {
			t.Errorf("%d bytes: %d, want %d: %.200s", size, a.status, want, a.body)
		}
		if want != http.StatusCreated {
			if p := problem(t, a); code(p) != "body-too-large" || !strings.Contains(p.Detail, "1048576 bytes") {
				t.Errorf("%d bytes: %s", size, a.body)
			}
		}
	}
}

func TestAMethodThatAPathDoesNotHaveIsToldTheOnesItHas(t *testing.T) {
	w := newWorld(t)
	w.startReady(things)
	for path, c := range map[string]struct{ method, allow string }{
		"/things":    {"DELETE", "GET, HEAD, POST"},
		"/things/17": {"POST", "GET, HEAD, PUT, DELETE"},
		"/livez":     {"POST", "GET, HEAD"},
		"/fail/x":    {"GET", "POST"},
	} {
		a := w.ask(c.method, path, "")
		if p := problem(t, a); a.status != http.StatusMethodNotAllowed || a.header.Get("Allow") != c.allow || code(p) != "method-not-allowed" {
			t.Errorf("%s %s: %d, Allow %q, want %q", c.method, path, a.status, a.header.Get("Allow"), c.allow)
		}
	}
}

func TestWhatNobodyForesawIsGenericOutsideAndWholeInTheLog(t *testing.T) {
	w := newWorld(t)
	w.startReady(things)
	trace := strings.Repeat("ab", 16)
	for _, c := range []struct{ method, path string }{{"POST", "/fail/unknown"}, {"POST", "/fail/panic"}, {"GET", "/raw-panic"}} {
		a := w.ask(c.method, c.path, "", "Traceparent: 00-"+trace+"-1234567890abcdef-01")
		if p := problem(t, a); p.Status != http.StatusInternalServerError || code(p) != "internal" || !strings.Contains(p.Detail, trace) {
			t.Errorf("%s: %s", c.path, a.body)
		}
		if strings.Contains(a.body, "secret") || strings.Contains(a.body, "goroutine") {
			t.Errorf("%s tells the detail: %s", c.path, a.body)
		}
	}
	if n := strings.Count(w.log.String(), "secret detail"); n < 3 {
		t.Errorf("the log has %d of 3: %s", n, w.log)
	}
	if n := strings.Count(w.log.String(), "trace="+trace); n != 3 {
		t.Errorf("%d lines with the trace id", n)
	}
	if a, err := w.askErr(http.MethodGet, "/half", ""); err == nil {
		t.Errorf("half an answer looks whole: %d %q", a.status, a.body)
	}
	if w.ask(http.MethodGet, "/things", "").status != http.StatusOK {
		t.Error("the service did not survive")
	}
}

func TestAnswersOfEachKind(t *testing.T) {
	w := newWorld(t)
	w.startReady(things)
	const id = "/things/0198c5a0-0000-7000-8000-000000000001"
	for _, c := range []struct {
		method, path, body string
		status             int
		want               string
	}{
		{"GET", "/things?limit=3&status=done", "", 200, `{"text":"3done"}`},
		{"GET", "/things", "", 200, `{"text":"50"}`},
		{"HEAD", "/things", "", 200, ""},
		{"HEAD", "/livez", "", 200, ""},
		{"POST", "/things", `{"name":"abc"}`, 201, `{"text":"3"}`},
		{"PUT", id, "", 200, `{"text":"replaced"}`},
		{"DELETE", id, "", 204, ""},
	} {
		a := w.ask(c.method, c.path, c.body)
		if a.status != c.status || strings.TrimSpace(a.body) != c.want {
			t.Errorf("%s %s: %d %s", c.method, c.path, a.status, a.body)
		}
		if c.status == 201 && a.header.Get("ETag") != `"7"` {
			t.Errorf("ETag %s", a.header.Get("ETag"))
		}
	}
}
