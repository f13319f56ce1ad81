package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"
)

// security are the flags of a secure server. Without any of them the server is insecure: nobody is asked for anything.
type security struct {
	TLSCert string `name:"tls-cert" help:"Certificate, PEM, followed by those between it and its authority. Makes the server secure." placeholder:"FILE" type:"path"`
	TLSKey  string `name:"tls-key" help:"Private key of the certificate, PEM." placeholder:"FILE" type:"path"`
	// The variables are those of the original server. A flag can be seen by everybody on the machine, a variable cannot.
	AdminPassword  string `env:"EVENTSTORE_DEFAULT_ADMIN_PASSWORD" help:"Password of the user admin in a new data directory (default: changeit). Better given as a variable, which ps does not show." placeholder:"PASSWORD"`
	OpsPassword    string `env:"EVENTSTORE_DEFAULT_OPS_PASSWORD" help:"Password of the user ops in a new data directory (default: changeit)." placeholder:"PASSWORD"`
	ResetPasswords bool   `help:"Give the passwords above also to the users of a data directory that exists."`

	AllowAnonymousStreamAccess bool `env:"EVENTSTORE_ALLOW_ANONYMOUS_STREAM_ACCESS" help:"Let callers without credentials into the streams that everybody may use."`
}

// Validate finds flags that make no sense together. Passwords without a certificate are no harmless excess: whoever sets
// one believes that it protects something.
func (s security) Validate() error {
	chosen := s.AdminPassword != "" || s.OpsPassword != ""
	switch {
	case s.TLSCert != "" && s.TLSKey == "":
		return errors.New("--tls-cert needs --tls-key")
	case s.TLSKey != "" && s.TLSCert == "":
		return errors.New("--tls-key needs --tls-cert")
	case s.TLSCert == "" && chosen:
		return errors.New("a password needs --tls-cert and --tls-key: without them nobody is asked for it")
	case s.TLSCert == "" && s.AllowAnonymousStreamAccess:
		return errors.New("--allow-anonymous-stream-access needs --tls-cert and --tls-key: without them everybody may do everything")
	case s.ResetPasswords && !chosen:
		return errors.New("--reset-passwords needs a password")
	}
	return nil
}

// config reads the certificate, if there is to be one, and warns when it is not valid today.
func (s security) config(logger *slog.Logger) (*tls.Config, error) {
	if s.TLSCert == "" {
		return nil, nil //nolint:nilnil // no certificate is no configuration, and no error
	}
	certificate, err := os.ReadFile(s.TLSCert)
	if err != nil {
		return nil, fmt.Errorf("certificate: %w", err)
	}
	key, err := os.ReadFile(s.TLSKey)
	if err != nil {
		return nil, fmt.Errorf("private key: %w", err)
	}
	pair, err := tls.X509KeyPair(certificate, key)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with private key %s: %w", s.TLSCert, s.TLSKey, err)
	}
	switch now := time.Now(); {
	case now.After(pair.Leaf.NotAfter):
		logger.Warn("the certificate has expired: clients will refuse it", "certificate", s.TLSCert, "since", pair.Leaf.NotAfter)
	case now.Before(pair.Leaf.NotBefore):
		logger.Warn("the certificate is not valid yet: clients will refuse it", "certificate", s.TLSCert, "from", pair.Leaf.NotBefore)
	}
	return &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}, nil
}
