package esdbserver

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"time"

	"orderflow/pkg/esdbserver/internal/eventlog"
	"orderflow/pkg/esdbserver/internal/users"
)

// DefaultPassword is the password of the users admin and ops when nobody has chosen another, as in the original server.
const DefaultPassword = users.DefaultPassword

// checkSecurity refuses settings that look like protection and are none.
func (c Config) checkSecurity() error {
	chosen := c.AdminPassword != "" || c.OpsPassword != ""
	switch {
	case c.TLS == nil && (chosen || c.ResetPasswords || c.AllowAnonymousStreamAccess):
		return errors.New("event store: without TLS nobody is asked for a password: give a certificate, or no password")
	case c.TLS != nil && len(c.TLS.Certificates) == 0 && c.TLS.GetCertificate == nil && c.TLS.GetConfigForClient == nil:
		return errors.New("event store: the TLS configuration has no certificate")
	case c.PasswordIterations < 0 || c.PasswordIterations > users.MaxIterations:
		return fmt.Errorf("event store: a password cannot cost %d iterations", c.PasswordIterations)
	case c.ResetPasswords && !chosen:
		return errors.New("event store: there is no password to reset to")
	}
	return nil
}

// security makes what a secure server needs before its log is opened. It is nil without TLS: as in the original server
// everybody is then the system user, who may do everything, and credentials are ignored.
func (c Config) security() *security {
	if c.TLS == nil {
		return nil
	}
	return &security{logger: c.Logger, allowAnonymous: c.AllowAnonymousStreamAccess}
}

// begin takes the log into use, and sees to it that somebody can log in.
func (s *security) begin(log *eventlog.Log, config Config) error {
	s.log, s.users = log, users.New(log, config.Logger, config.PasswordIterations)
	passwords := users.Passwords{Admin: config.AdminPassword, Ops: config.OpsPassword}
	if err := s.users.Ensure(context.Background(), passwords, config.ResetPasswords); err != nil {
		return fmt.Errorf("event store: %w", err)
	}
	return nil
}

// warnOfDefaultPasswords tells the operator when others than this machine can reach users whose password everybody knows.
func (s *Server) warnOfDefaultPasswords(addr net.Addr) {
	if tcp, ok := addr.(*net.TCPAddr); s.security == nil || !ok || tcp.IP.IsLoopback() {
		return
	}
	for _, name := range s.security.users.WithDefaultPassword(s.stopping) {
		s.config.Logger.Warn("a user can log in with the default password from other machines", "user", name, "address", addr.String())
	}
}

// transport is the TLS configuration that connections are accepted with, nil for none. HTTP/1.1 is preferred to HTTP/2:
// who offers both is a browser or a probe, which is answered over HTTP/1.1, while gRPC clients offer HTTP/2 only. What a
// connection then speaks decides which server gets it.
func (c Config) transport() *tls.Config {
	if c.TLS == nil {
		return nil
	}
	config := bothProtocols(c.TLS)
	if choose := config.GetConfigForClient; choose != nil {
		config.GetConfigForClient = func(hello *tls.ClientHelloInfo) (*tls.Config, error) {
			chosen, err := choose(hello)
			if chosen == nil || err != nil {
				return nil, err
			}
			return bothProtocols(chosen), nil
		}
	}
	return config
}

func bothProtocols(config *tls.Config) *tls.Config {
	config = config.Clone()
	config.NextProtos = []string{"http/1.1", "h2"}
	config.MinVersion = max(config.MinVersion, tls.VersionTLS12)
	return config
}

// handshakeTimeout is how long a new connection may take to agree on a key.
const handshakeTimeout = 10 * time.Second

// encrypt does the TLS handshake of a new connection. Somebody who speaks HTTP in the clear is told so; nobody else who
// fails can be told anything.
func encrypt(c net.Conn, config *tls.Config) (net.Conn, error) {
	if config == nil {
		return c, nil
	}
	if err := c.SetDeadline(time.Now().Add(handshakeTimeout)); err != nil {
		return nil, err
	}
	encrypted := tls.Server(c, config)
	if err := encrypted.HandshakeContext(context.Background()); err != nil {
		var plain tls.RecordHeaderError
		if errors.As(err, &plain) && plain.Conn != nil && beginsHTTP1(plain.RecordHeader[:]) {
			_, _ = fmt.Fprint(plain.Conn, "HTTP/1.0 400 Bad Request\r\nContent-Type: text/plain\r\n\r\nThis port speaks TLS: use https.\n")
		}
		return nil, err
	}
	return encrypted, c.SetDeadline(time.Time{})
}

// beginsHTTP1 reports whether the first five bytes of a connection are those of an HTTP/1.1 request.
func beginsHTTP1(first []byte) bool {
	switch string(first) {
	case "GET /", "HEAD ", "POST ", "PUT /", "DELET", "OPTIO", "PATCH":
		return true
	}
	return false
}
