package mailer

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/mail"
	"net/url"
	"strconv"
	"time"

	"orderflow/pkg/service"
)

// Server is the mail server to send with, and the sender to name.
type Server struct {
	host               string
	port               int
	implicitTLS        bool
	username, password string
	from               mail.Address
	trusted            *x509.CertPool // nil: whom this machine trusts
}

// Configured reports whether there is a server at all.
func (s Server) Configured() bool { return s.host != "" }

// address is host and port, for error texts and dialling.
func (s Server) address() string { return net.JoinHostPort(s.host, strconv.Itoa(s.port)) }

// tls says whom to expect behind an encrypted connection.
func (s Server) tls() *tls.Config {
	return &tls.Config{ServerName: s.host, RootCAs: s.trusted, MinVersion: tls.VersionTLS12}
}

// local reports whether the server is on this machine, where a password may
// travel unencrypted.
func (s Server) local() bool {
	ip := net.ParseIP(s.host)
	return s.host == "localhost" || ip != nil && ip.IsLoopback()
}

// timeout bounds every step of a conversation with the server.
const timeout = 15 * time.Second

// Ports that a URL need not name: submission (RFC 6409) and submission over TLS
// (RFC 8314).
const (
	submission    = 587
	submissionTLS = 465
)

// Load reads SMTP_URL and MAIL_FROM. Its errors are service.ErrSettings and name
// the variable; the password is in none of them.
func Load(host service.Host) (Server, error) {
	var settings struct {
		URL  string `env:"SMTP_URL"`
		From string `env:"MAIL_FROM" envDefault:"orderflow <orders@orderflow.example>"`
	}
	if err := host.Load(&settings); err != nil {
		return Server{}, fmt.Errorf("crm: %w", err)
	}
	from, err := mail.ParseAddress(settings.From)
	if err != nil {
		return Server{}, fmt.Errorf("crm: %w: MAIL_FROM: %q is no mail address", service.ErrSettings, settings.From)
	}
	if settings.URL == "" {
		return Server{from: *from}, nil
	}
	server, err := parse(settings.URL, *from)
	if err != nil {
		return Server{}, fmt.Errorf("crm: %w: SMTP_URL: %w", service.ErrSettings, err)
	}
	return server, nil
}

var errForm = errors.New("not of the form smtp://user:password@host:port or smtps://user:password@host:port")

// parse reads smtp://user:password@host:port?from=address. The text itself is
// in no error: it may hold a password.
func parse(text string, from mail.Address) (Server, error) {
	u, err := url.Parse(text)
	if err != nil || u.Opaque != "" || u.Hostname() == "" || u.Path != "" && u.Path != "/" || u.Fragment != "" {
		return Server{}, errForm
	}
	s := Server{host: u.Hostname(), from: from}
	switch u.Scheme {
	case "smtp":
		s.port = submission
	case "smtps":
		s.port, s.implicitTLS = submissionTLS, true
	default:
		return Server{}, errForm
	}
	if text := u.Port(); text != "" {
		if s.port, err = strconv.Atoi(text); err != nil || s.port < 1 || s.port > 65535 {
			return Server{}, fmt.Errorf("%q is no port", text)
		}
	}
	if u.User != nil {
		var given bool
		s.username = u.User.Username()
		if s.password, given = u.User.Password(); !given || s.username == "" {
			return Server{}, errors.New("a user needs a password, and a password a user")
		}
	}
	query, err := url.ParseQuery(u.RawQuery)
	if err != nil {
		return Server{}, errForm
	}
	for name, values := range query {
		if name != "from" || len(values) != 1 {
			return Server{}, fmt.Errorf("unknown parameter %q; there is only from", name)
		}
		sender, err := mail.ParseAddress(values[0])
		if err != nil {
			return Server{}, fmt.Errorf("from: %q is no mail address", values[0])
		}
		s.from = *sender
	}
	return s, nil
}
