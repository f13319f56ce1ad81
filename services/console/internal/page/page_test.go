package page_test

import (
	"mime"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/go-chi/chi/v5"

	"orderflow/services/console/internal/page"
)

func get(t *testing.T, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	router := chi.NewRouter()
	page.Serve(router)
	request := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, http.NoBody)
	if len(header) == 2 {
		request.Header.Set(header[0], header[1])
	}
	recorder := httptest.NewRecorder()
	router.ServeHTTP(recorder, request)
	return recorder
}

// files are the parts of the page as they lie in the source.
func files(t *testing.T) map[string]string {
	t.Helper()
	entries, err := os.ReadDir("static")
	if err != nil {
		t.Fatal(err)
	}
	all := map[string]string{}
	for _, entry := range entries {
		content, err := os.ReadFile("static/" + entry.Name())
		if err != nil {
			t.Fatal(err)
		}
		all[entry.Name()] = string(content)
	}
	return all
}

func TestEveryPartOfThePageIsServedUnderAStrictPolicy(t *testing.T) {
	kinds := map[string]string{"html": "text/html", "js": "text/javascript", "css": "text/css"}
	for name, content := range files(t) {
		path := "/" + name
		if name == "index.html" {
			path = "/"
		}
		answer := get(t, path)
		if answer.Code != http.StatusOK || answer.Body.String() != content {
			t.Errorf("%s: %d, %d bytes", path, answer.Code, answer.Body.Len())
		}
		kind, _, err := mime.ParseMediaType(answer.Header().Get("Content-Type"))
		if err != nil || kind != kinds[name[strings.LastIndex(name, ".")+1:]] {
			t.Errorf("%s is %s", path, kind)
		}
		policy := answer.Header().Get("Content-Security-Policy")
		for _, part := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'"} {
			if !strings.Contains(policy, part+";") && !strings.HasSuffix(policy, part) {
				t.Errorf("%s: no %s in %s", path, part, policy)
			}
		}
		if strings.Contains(policy, "unsafe") || answer.Header().Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: %s", path, policy)
		}
	}
}

func TestUnchangedPartIsNotSentAgain(t *testing.T) {
	tag := get(t, "/app.js").Header().Get("ETag")
	if again := get(t, "/app.js", "If-None-Match", tag); again.Code != http.StatusNotModified || again.Body.Len() != 0 {
		t.Errorf("%d, %d bytes", again.Code, again.Body.Len())
	}
	if other := get(t, "/app.js", "If-None-Match", `"other"`); other.Code != http.StatusOK {
		t.Errorf("got %d", other.Code)
	}
}

func TestNothingElseIsServed(t *testing.T) {
	for _, path := range []string{"/static/app.js", "/index.html", "/page.go", "/../page.go"} {
		if answer := get(t, path); answer.Code != http.StatusNotFound {
			t.Errorf("%s: %d", path, answer.Code)
		}
	}
}

// elsewhere finds addresses of other machines; the name of the drawing language
// is none, nor are the addresses that requests to try are put together from.
var elsewhere = regexp.MustCompile(`https?://[^$"'\s]+`)

func TestPageLeavesNothingToTheInternetAndReadsNoMarkup(t *testing.T) {
	for name, content := range files(t) {
		for _, address := range elsewhere.FindAllString(content, -1) {
			if address != "http://www.w3.org/2000/svg" {
				t.Errorf("%s mentions %s", name, address)
			}
		}
		for _, bad := range []string{"innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "style=", "onclick=", "@import", "url("} {
			if strings.Contains(content, bad) {
				t.Errorf("%s uses %s", name, bad)
			}
		}
	}
}
