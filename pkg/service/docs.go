package service

import (
	_ "embed"
	"net/http"
)

// The viewer of /openapi.json. It loads nothing from anywhere else.
var (
	//go:embed docs.html
	docsHTML []byte
	//go:embed docs.js
	docsJS []byte
)

func docsPage(w http.ResponseWriter, _ *http.Request) {
	header := w.Header()
	header.Set("Content-Type", "text/html; charset=utf-8")
	header.Set("Content-Security-Policy",
		"default-src 'none'; style-src 'unsafe-inline'; script-src 'self'; connect-src 'self'; base-uri 'none'; frame-ancestors 'none'")
	_, _ = w.Write(docsHTML) // nobody left to tell
}

func docsScript(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/javascript; charset=utf-8")
	_, _ = w.Write(docsJS) // nobody left to tell
}
