package mailer

import (
	"bytes"
	"errors"
	"net/mail"
	"strings"
	"testing"
	"time"

	"pgregory.net/rapid"

	"orderflow/services/crm/internal/letters"
	"orderflow/services/crm/internal/smtptest"
	"orderflow/services/crm/internal/story"
)

var (
	sender  = mail.Address{Name: "Bücher & Tee", Address: "orders@orderflow.example"}
	today   = time.Date(2025, 5, 1, 10, 0, 0, 0, time.UTC)
	orderID = "01928f40-0a1b-7c2d-8e3f-405162738495"
)

func mailTo(name, address string) story.Due {
	return story.Due{
		MailID: "3b1c6c3e-8f0e-5c53-9d3a-9d8f4f1b2c3d", Kind: letters.Dispatched, To: address,
		Facts: letters.Facts{OrderID: orderID, CustomerName: name, DispatchedAt: today, Carrier: "DHL", TrackingNumber: "JD0146"},
	}
}

func written(t testing.TB, due story.Due) smtptest.Mail {
	t.Helper()
	m, err := message(sender, due, today)
	if err != nil {
		t.Fatal(err)
	}
	var raw bytes.Buffer
	if _, err := m.WriteTo(&raw); err != nil {
		t.Fatal(err)
	}
	return smtptest.Mail{Raw: raw.String()}
}

func TestMailIsReadableInAnyLanguage(t *testing.T) {
	for _, name := range []string{"Zoë Müller", "王小明", "Łukasz \"Luke\" Żak", "O'Brien, Pat <pat>", "=?utf-8?q?x?=", strings.Repeat("ä", 200)} {
		m := written(t, mailTo(name, "zoe@example.org"))
		to, err := m.Header(t).AddressList("To")
		if err != nil || len(to) != 1 || to[0].Address != "zoe@example.org" || strings.Join(strings.Fields(to[0].Name), " ") != strings.Join(strings.Fields(name), " ") {
			t.Errorf("%q: to %v, %v", name, to, err)
		}
		if text := m.Text(t); !strings.Contains(text, "Hello "+name+",") {
			t.Errorf("%q: %s", name, text)
		}
		for i := range len(m.Raw) {
			if m.Raw[i] >= 0x80 {
				t.Fatalf("%q: byte %d is not ASCII:\n%s", name, i, m.Raw)
			}
		}
	}
}

func TestMailSaysWhoItIsFromAndWhichItIs(t *testing.T) {
	header := written(t, mailTo("Zoë", "zoe@example.org")).Header(t)
	if got := header.Get("Message-Id"); got != "<3b1c6c3e-8f0e-5c53-9d3a-9d8f4f1b2c3d@orderflow.example>" {
		t.Errorf("Message-ID %s", got)
	}
	from, err := header.AddressList("From")
	if err != nil || len(from) != 1 || *from[0] != sender {
		t.Errorf("From %v, %v", from, err)
	}
	if at, err := header.Date(); err != nil || !at.Equal(today) {
		t.Errorf("Date %v, %v", at, err)
	}
	if got := header.Get("Auto-Submitted"); got != "auto-generated" {
		t.Errorf("Auto-Submitted %q", got)
	}
	if got := header.Get("Content-Type"); got != "text/plain; charset=UTF-8" {
		t.Errorf("Content-Type %q", got)
	}
}

func TestNothingACustomerWritesAddsAHeader(t *testing.T) {
	names := rapid.OneOf(
		rapid.String(),
		rapid.StringMatching(`[ -~¦ä]*`),
		rapid.Custom(func(r *rapid.T) string {
			return rapid.String().Draw(r, "before") + rapid.SampledFrom([]string{"\r\n", "\n", "\r", "\r\n\r\n", "\"\r\n"}).Draw(r, "break") +
				"Bcc: everybody@example.org" + rapid.String().Draw(r, "after")
		}))
	want := len(written(t, mailTo("Zoë", "zoe@example.org")).Header(t))
	rapid.Check(t, func(r *rapid.T) {
		due := mailTo(names.Draw(r, "name"), "zoe@example.org")
		due.Facts.Carrier = names.Draw(r, "carrier")
		m := written(t, due)
		if header := m.Header(t); len(header) != want || header.Get("Bcc") != "" {
			r.Errorf("headers %v", header)
		}
		if to, err := m.Header(t).AddressList("To"); err != nil || len(to) != 1 {
			r.Errorf("to %v, %v", to, err)
		}
	})
}

func TestAddressThatIsNoneIsRefused(t *testing.T) {
	for _, address := range []string{
		"", "zoe", "zoe@", "@example.org", "zoe@example.org\r\nBcc: a@example.org", "zoe@example.org, a@example.org",
		"Zoë <zoe@example.org>", "<zoe@example.org>", " zoe@example.org",
	} {
		if _, err := message(sender, mailTo("Zoë", address), today); !errors.Is(err, errAddress) {
			t.Errorf("%q: %v", address, err)
		}
	}
}
