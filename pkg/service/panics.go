package service

import (
	"fmt"
	"net/http"
	"runtime/debug"

	"github.com/go-chi/chi/v5/middleware"
)

// recoverPanics answers 500 for a handler that panicked. One that had begun to
// answer has its connection broken, so that nobody takes half an answer for a
// whole one.
func (s *Service) recoverPanics(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer func() {
			p := recover()
			if p == nil {
				return
			}
			if p == http.ErrAbortHandler { //nolint:errorlint // the documented sentinel, compared as documented
				panic(p)
			}
			problem := s.unexpected(r.Context(), fmt.Errorf("panic: %v\n%s", p, debug.Stack()))
			if answer, ok := w.(middleware.WrapResponseWriter); ok && answer.Status() != 0 {
				panic(http.ErrAbortHandler)
			}
			problem.write(w)
		}()
		next.ServeHTTP(w, r)
	})
}
