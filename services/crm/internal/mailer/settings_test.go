package mailer

import (
	"errors"
	"net/mail"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"orderflow/pkg/service"
)

func load(url, from string) (Server, error) {
	environ := map[string]string{}
	if url != "" {
		environ["SMTP_URL"] = url
	}
	if from != "" {
		environ["MAIL_FROM"] = from
	}
	return Load(service.Host{Environ: environ})
}

func TestServerIsReadFromItsURL(t *testing.T) {
	standard := mail.Address{Name: "orderflow", Address: "orders@orderflow.example"}
	for url, want := range map[string]Server{
		"":                                 {from: standard},
		"smtp://mail.example.org":          {host: "mail.example.org", port: 587, from: standard},
		"smtp://mail.example.org:25/":      {host: "mail.example.org", port: 25, from: standard},
		"smtps://mail.example.org":         {host: "mail.example.org", port: 465, implicitTLS: true, from: standard},
		"smtp://us%40er:pa%3Ass@[::1]:587": {host: "::1", port: 587, username: "us@er", password: "pa:ss", from: standard},
		"smtp://h?from=Shop%20%3Cshop@example.org%3E": {
			host: "h", port: 587, from: mail.Address{Name: "Shop", Address: "shop@example.org"},
		},
	} {
		got, err := load(url, "")
		if err != nil {
			t.Errorf("%q: %v", url, err)
		}
		if diff := cmp.Diff(want, got, cmp.AllowUnexported(Server{}), cmpopts.IgnoreFields(Server{}, "trusted")); diff != "" {
			t.Errorf("%q: %s", url, diff)
		}
		if got.Configured() != (url != "") {
			t.Errorf("%q: configured is %v", url, got.Configured())
		}
	}
	if got, err := load("", "Tea <tea@example.org>"); err != nil || got.from.Address != "tea@example.org" {
		t.Errorf("MAIL_FROM: %v, %v", got.from, err)
	}
}

func TestSettingThatCannotWorkIsNamedWithoutThePassword(t *testing.T) {
	for _, c := range []struct{ variable, url, from string }{
		{"SMTP_URL", "mail.example.org:25", ""},
		{"SMTP_URL", "http://user:hunter2@mail.example.org", ""},
		{"SMTP_URL", "smtp://user:hunter2@", ""},
		{"SMTP_URL", "smtp://user:hunter2@mail.example.org:99999", ""},
		{"SMTP_URL", "smtp://user:hunter2@mail.example.org:port", ""},
		{"SMTP_URL", "smtp://user:hunter2@mail.example.org/inbox", ""},
		{"SMTP_URL", "smtp://user:hunter2%zz@mail.example.org", ""},
		{"SMTP_URL", "smtp://user@mail.example.org", ""},
		{"SMTP_URL", "smtp://:hunter2@mail.example.org", ""},
		{"SMTP_URL", "smtp://mail.example.org?starttls=no", ""},
		{"SMTP_URL", "smtp://mail.example.org?from=nobody", ""},
		{"SMTP_URL", "smtp:mail.example.org", ""},
		{"MAIL_FROM", "", "nobody"},
		{"MAIL_FROM", "", "a@example.org, b@example.org"},
	} {
		_, err := load(c.url, c.from)
		if !errors.Is(err, service.ErrSettings) {
			t.Errorf("%q %q: error %v", c.url, c.from, err)
			continue
		}
		text := err.Error()
		if !strings.Contains(text, c.variable+": ") || strings.Contains(text, "hunter2") || strings.ContainsAny(text, "\n\r") {
			t.Errorf("%q %q: %q", c.url, c.from, text)
		}
	}
}

func TestPasswordTravelsUnencryptedOnThisMachineOnly(t *testing.T) {
	for host, want := range map[string]bool{"localhost": true, "127.0.0.1": true, "::1": true, "mail.example.org": false, "10.0.0.1": false} {
		if got := (Server{host: host}).local(); got != want {
			t.Errorf("%s: %v", host, got)
		}
	}
}
