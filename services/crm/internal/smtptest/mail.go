package smtptest

import (
	"io"
	"mime"
	"mime/quotedprintable"
	"net/mail"
	"strings"
	"testing"
)

// Mail is a mail as it was received.
type Mail struct {
	// From and To are those of the envelope.
	From string
	To   []string
	// Raw is headers and text, lines ended by CRLF.
	Raw string
}

// ID is the Message-ID.
func (m Mail) ID() string {
	parsed, err := mail.ReadMessage(strings.NewReader(m.Raw))
	if err != nil {
		return ""
	}
	return strings.Trim(parsed.Header.Get("Message-Id"), "<>")
}

// Header returns the headers of a mail, and fails the test when it is none.
func (m Mail) Header(t testing.TB) mail.Header {
	t.Helper()
	parsed, err := mail.ReadMessage(strings.NewReader(m.Raw))
	if err != nil {
		t.Fatalf("not a mail: %v\n%s", err, m.Raw)
	}
	return parsed.Header
}

// Subject returns the subject as a reader sees it.
func (m Mail) Subject(t testing.TB) string {
	t.Helper()
	subject, err := (&mime.WordDecoder{}).DecodeHeader(m.Header(t).Get("Subject"))
	if err != nil {
		t.Fatal(err)
	}
	return subject
}

// Text returns the body as a reader sees it, lines ended by "\n".
func (m Mail) Text(t testing.TB) string {
	t.Helper()
	parsed, err := mail.ReadMessage(strings.NewReader(m.Raw))
	if err != nil {
		t.Fatalf("not a mail: %v\n%s", err, m.Raw)
	}
	if encoding := parsed.Header.Get("Content-Transfer-Encoding"); encoding != "quoted-printable" {
		t.Fatalf("encoded as %q", encoding)
	}
	text, err := io.ReadAll(quotedprintable.NewReader(parsed.Body))
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), "\r\n", "\n")
}
