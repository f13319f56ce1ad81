package service

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
)

// traceParentForm is version 00 of the W3C trace context.
var traceParentForm = regexp.MustCompile(`^00-[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}$`)

// correlationForm is what is taken from a caller as a correlation id.
var correlationForm = regexp.MustCompile(`^[A-Za-z0-9._:-]{1,100}$`)

// withCause gives every request its cause: a fresh command id, the caller's
// correlation id and trace context or new ones. The answer carries the
// correlation id.
func withCause(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		id := cause.NewID()
		c := cause.Cause{
			ID:            id,
			CorrelationID: r.Header.Get("X-Correlation-ID"),
			TraceParent:   r.Header.Get("Traceparent"),
			Request:       r.Method + " " + r.URL.Path,
			At:            time.Now().UTC().Truncate(time.Microsecond), // what every store can hold
		}
		if !correlationForm.MatchString(c.CorrelationID) {
			c.CorrelationID = id.String()
		}
		if !validTraceParent(c.TraceParent) {
			c.TraceParent = newTraceParent(id)
		}
		w.Header().Set("X-Correlation-ID", c.CorrelationID)
		next.ServeHTTP(w, r.WithContext(cause.NewContext(r.Context(), c)))
	})
}

// limitBody lets nobody read more than the limit of a body. It must be the
// first of all, with the server's own writer: what [http.MaxBytesReader] tells
// that one makes it leave the connection open for a moment after the answer.
// Otherwise the connection would be reset while the client still sends, and the
// client would see that instead of the answer.
func limitBody(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Body != http.NoBody {
			r.Body = &limitedBody{ReadCloser: http.MaxBytesReader(w, r.Body, maxBody)}
		}
		next.ServeHTTP(w, r)
	})
}

// limitedBody fails one byte after the limit, not at it: that byte is how huma
// notices a body that is too large.
type limitedBody struct {
	io.ReadCloser
	over bool
}

func (b *limitedBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	if _, over := errors.AsType[*http.MaxBytesError](err); over && !b.over && n < len(p) {
		b.over = true
		p[n] = 0
		return n + 1, nil
	}
	return n, err
}

// validTraceParent takes version 00 of the W3C trace context, in which ids of
// zeros alone are invalid. Whatever else comes starts a new trace.
func validTraceParent(header string) bool {
	return traceParentForm.MatchString(header) &&
		header[3:35] != strings.Repeat("0", 32) && header[36:52] != strings.Repeat("0", 16)
}

func newTraceParent(id uuid.UUID) string {
	var span [8]byte
	_, _ = rand.Read(span[:]) // never fails
	return "00-" + hex.EncodeToString(id[:]) + "-" + hex.EncodeToString(span[:]) + "-01"
}

// traceOf is the trace id of a request, for log lines and error texts.
func traceOf(ctx context.Context) string {
	parts := strings.Split(cause.FromContext(ctx).TraceParent, "-")
	if len(parts) != 4 {
		return "-"
	}
	return parts[1]
}

// ETag is the entity tag of a version.
func ETag(version int64) string { return `"` + strconv.FormatInt(version, 10) + `"` }

// Precondition reads an If-Match header: empty and * allow any version.
func Precondition(ifMatch string) (es.Precondition, error) {
	version, restricted, err := IfMatch(ifMatch)
	if err != nil || !restricted {
		return es.Precondition{}, err
	}
	return es.At(es.Revision(version)), nil
}

// etagForm is what [ETag] writes.
var etagForm = regexp.MustCompile(`^"(0|[1-9][0-9]{0,17})"$`)

// IfMatch reads the version out of an If-Match header; restricted is false for
// an empty one and for *. A tag that no version can have is stale, not wrong:
// that goes for weak tags, which never match (RFC 9110, section 13.1.1), and for
// a list, of which no resource here has more than one.
func IfMatch(header string) (version int64, restricted bool, err error) {
	header = strings.TrimSpace(header)
	if header == "" || header == "*" {
		return 0, false, nil
	}
	tag := etagForm.FindStringSubmatch(header)
	if tag == nil {
		return 0, true, NewProblem(http.StatusPreconditionFailed, "stale", "If-Match is not the ETag of this resource")
	}
	version, err = strconv.ParseInt(tag[1], 10, 64)
	return version, true, err
}

// PathID reads an id from a path. What is no id is nobody's.
func PathID(what, id string) (uuid.UUID, error) {
	parsed, err := uuid.Parse(id)
	if err != nil || parsed.String() != id {
		return uuid.Nil, NotFound(what, id)
	}
	return parsed, nil
}
