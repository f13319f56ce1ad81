package page

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"mime"
	"net/http"
	"path"

	"github.com/go-chi/chi/v5"
)

//go:embed static
var files embed.FS

// policy is the page's Content Security Policy.
const policy = "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self' data:; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'"

// Serve adds the page at / and its parts beside it.
func Serve(router chi.Router) {
	entries, err := files.ReadDir("static")
	if err != nil {
		panic(err) // embedded: cannot be absent
	}
	for _, entry := range entries {
		content, err := files.ReadFile(path.Join("static", entry.Name()))
		if err != nil {
			panic(err) // just listed
		}
		at := "/" + entry.Name()
		if entry.Name() == "index.html" {
			at = "/"
		}
		router.Get(at, file(entry.Name(), content))
	}
}

// file serves one file. Browsers keep it, and ask whether it is still the same:
// a new version of the console is a new page at the next visit.
func file(name string, content []byte) http.HandlerFunc {
	sum := sha256.Sum256(content)
	tag := `"` + hex.EncodeToString(sum[:8]) + `"`
	kind := mime.TypeByExtension(path.Ext(name))
	if path.Ext(name) == ".js" {
		kind = "text/javascript; charset=utf-8" // some machines know no better than text/plain
	}
	return func(w http.ResponseWriter, r *http.Request) {
		header := w.Header()
		header.Set("Content-Type", kind)
		header.Set("Content-Security-Policy", policy)
		header.Set("X-Content-Type-Options", "nosniff")
		header.Set("Referrer-Policy", "no-referrer")
		header.Set("Cross-Origin-Opener-Policy", "same-origin")
		header.Set("Cross-Origin-Resource-Policy", "same-origin")
		header.Set("Cache-Control", "no-cache")
		header.Set("ETag", tag)
		if r.Header.Get("If-None-Match") == tag {
			w.WriteHeader(http.StatusNotModified)
			return
		}
		_, _ = w.Write(content) // nobody left to tell
	}
}
