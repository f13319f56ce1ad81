package neighbours

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"
)

type told struct{ Event, Data string }

// following returns neighbours all of which are answered by a transport.
func following(t *testing.T, transport http.RoundTripper) *Neighbours {
	t.Helper()
	const here = "http://127.0.0.1"
	n, err := New(Addresses{Customer: here, Catalog: here, Order: here, Packing: here, Dispatch: here, CRM: here, Reporting: here})
	if err != nil {
		t.Fatal(err)
	}
	n.client.Transport = transport
	return n
}

// served answers every request with a status and a body.
type served struct {
	status int
	body   io.Reader
}

func (s served) RoundTrip(r *http.Request) (*http.Response, error) {
	body, ends := io.Pipe()
	go func() {
		_, err := io.Copy(ends, s.body)
		ends.CloseWithError(err)
	}()
	context.AfterFunc(r.Context(), func() { ends.CloseWithError(r.Context().Err()) })
	return &http.Response{StatusCode: s.status, Body: body, Header: http.Header{}, Request: r}, nil
}

func TestStreamIsReadEventByEvent(t *testing.T) {
	stream := ": hello\n\nevent: summary\ndata: {\"a\":1}\n\ndata: first\ndata:second\n\nevent: empty\n\nevent:other\r\ndata: x: y\r\n\r\nevent: cut\ndata: off"
	n := following(t, served{http.StatusOK, strings.NewReader(stream)})
	var got []told
	err := n.Follow(t.Context(), Reporting, "/live", func(event, data string) { got = append(got, told{event, data}) })
	if err == nil || err.Error() != "reporting ended its stream" {
		t.Errorf("ended with %v", err)
	}
	want := []told{{"summary", `{"a":1}`}, {"", "first\nsecond"}, {"other", "x: y"}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestStreamThatIsRefusedSaysSo(t *testing.T) {
	var refused *RefusedError
	err := following(t, served{http.StatusBadGateway, strings.NewReader("")}).Follow(t.Context(), Reporting, "/live", nil)
	if !errors.As(err, &refused) || refused.Status != http.StatusBadGateway {
		t.Errorf("got %v", err)
	}
}

func TestStreamThatFallsSilentCountsAsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		source, speaker := io.Pipe()
		defer speaker.Close()
		n := following(t, served{http.StatusOK, source})
		ended := make(chan error, 1)
		go func() { ended <- n.Follow(t.Context(), Reporting, "/live", func(string, string) {}) }()
		if _, err := speaker.Write([]byte(": still here\n\n")); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !errors.Is(err, ErrUnanswered) {
			t.Errorf("ended with %v", err)
		}
	})
}

func TestStreamEndsWithItsContext(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte("data: 1\n\n"))
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
	}))
	defer server.Close()
	n, err := New(Addresses{
		Customer: server.URL, Catalog: server.URL, Order: server.URL, Packing: server.URL,
		Dispatch: server.URL, CRM: server.URL, Reporting: server.URL,
	})
	if err != nil {
		t.Fatal(err)
	}
	defer n.Close()
	ctx, cancel := context.WithCancel(t.Context())
	err = n.Follow(ctx, Reporting, "/live", func(string, string) { cancel() })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("ended with %v", err)
	}
}
