package service_test

import (
	"net/http"
	"slices"
	"strings"
	"testing"
)

func TestTheDescriptionListsTheOperations(t *testing.T) {
	w := newWorld(t)
	w.startReady(things)
	type operation struct {
		OperationID string `json:"operationId"`
		Summary     string `json:"summary"`
		Responses   map[string]struct {
			Content map[string]struct {
				Schema struct {
					Ref string `json:"$ref"`
				} `json:"schema"`
			} `json:"content"`
		} `json:"responses"`
	}
	api := as[struct {
		OpenAPI string                          `json:"openapi"`
		Info    struct{ Title, Version string } `json:"info"`
		Paths   map[string]map[string]operation `json:"paths"`
	}](t, w.ask(http.MethodGet, "/openapi.json", ""))
	if !strings.HasPrefix(api.OpenAPI, "3.1") || api.Info.Title != "orderflow test" {
		t.Errorf("%s, %+v", api.OpenAPI, api.Info)
	}
	var ids []string
	for _, methods := range api.Paths {
		for _, o := range methods {
			ids = append(ids, o.OperationID)
			if o.Summary == "" || o.Responses["default"].Content["application/problem+json"].Schema.Ref != "#/components/schemas/Problem" {
				t.Errorf("%s: %+v", o.OperationID, o)
			}
		}
	}
	slices.Sort(ids)
	if got := strings.Join(ids, " "); got != "delete-things-id get-things get-things-id post-fail-id post-things put-things-id" {
		t.Errorf("operations %s", got)
	}
}

func TestTheDocumentationLoadsNothingFromElsewhere(t *testing.T) {
	w := newWorld(t)
	w.startReady(things)
	page := w.ask(http.MethodGet, "/docs", "")
	policy := page.header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'none'", "script-src 'self'", "connect-src 'self'", "frame-ancestors 'none'"} {
		if !strings.Contains(policy, want) {
			t.Errorf("policy %q lacks %s", policy, want)
		}
	}
	script := w.ask(http.MethodGet, "/docs.js", "")
	if script.status != http.StatusOK || !strings.HasPrefix(script.header.Get("Content-Type"), "text/javascript") {
		t.Errorf("script: %d %v", script.status, script.header)
	}
	for name, text := range map[string]string{"page": page.body, "script": script.body} {
		if strings.Contains(text, "http://") || strings.Contains(text, "https://") || strings.Contains(text, "innerHTML") {
			t.Errorf("the %s loads from elsewhere, or writes unescaped text", name)
		}
	}
	if !strings.Contains(page.body, `<script src="/docs.js">`) {
		t.Error("the page does not load the script")
	}
}
