package service

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"io"
	"net/http"
	"regexp"
	"slices"
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

// Match is which versions of a resource an If-Match header allows. The zero value
// allows any.
type Match struct {
	versions   []int64
	restricted bool
}

// Only allows these versions.
func Only(versions ...int64) Match { return Match{versions, true} }

// Allows reports whether a command may change the resource when it is at a
// version.
func (m Match) Allows(version int64) bool {
	return !m.restricted || slices.Contains(m.versions, version)
}

// Precondition is [IfMatch] for an aggregate in the event store.
func Precondition(ifMatch string) (es.Precondition, error) {
	match, err := IfMatch(ifMatch)
	if err != nil || !match.restricted {
		return es.Precondition{}, err
	}
	revisions := make([]es.Revision, len(match.versions))
	for i, version := range match.versions {
		revisions[i] = es.Revision(version)
	}
	return es.At(revisions...), nil
}

// etagForm is what [ETag] writes.
var etagForm = regexp.MustCompile(`^"(0|[1-9][0-9]{0,17})"$`)

// IfMatch reads an If-Match header (RFC 9110, section 13.1.1): empty and * allow
// any version, a list each version in it. A tag that no version can have is not
// wrong and allows nothing; that goes for weak tags, which never match. A header
// that allows nothing at all is refused as stale.
func IfMatch(header string) (Match, error) {
	header = strings.TrimSpace(header)
	if header == "" || header == "*" {
		return Match{}, nil
	}
	match := Only()
	for tag := range strings.SplitSeq(header, ",") {
		form := etagForm.FindStringSubmatch(strings.TrimSpace(tag))
		if form == nil {
			continue
		}
		if version, err := strconv.ParseInt(form[1], 10, 64); err == nil {
			match.versions = append(match.versions, version)
		}
	}
	if len(match.versions) == 0 {
		return match, NewProblem(http.StatusPreconditionFailed, "stale", "If-Match is not the ETag of this resource")
	}
	return match, nil
}

// withConditions reads If-Match as one list, on however many lines it came, and
// refuses what asks for protection and gives nothing to protect by: an empty
// If-Match, and an Idempotency-Key that is empty or not the only one. A client
// whose variable was empty would change what it had not seen, or order twice.
func withConditions(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for _, name := range []string{"If-Match", "Idempotency-Key"} {
			lines, given := r.Header[name]
			switch value := strings.Join(lines, ", "); {
			case !given:
			case strings.Trim(value, ", \t") == "":
				badHeader(name, "is empty").write(w)
				return
			case name == "Idempotency-Key" && len(lines) > 1:
				badHeader(name, "is there more than once").write(w)
				return
			default:
				r.Header.Set(name, value)
			}
		}
		next.ServeHTTP(w, r)
	})
}

func badHeader(name, message string) *Problem {
	return NewProblem(http.StatusUnprocessableEntity, "invalid-request", "validation failed",
		FieldError{Location: "header." + name, Message: message})
}

// PathID reads an id from a path. What is no id is nobody's.
func PathID(what, id string) (uuid.UUID, error) {
	parsed, err := uuid.Parse(id)
	if err != nil || parsed.String() != id {
		return uuid.Nil, NotFound(what, id)
	}
	return parsed, nil
}
