package smtptest

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/http/httptest"
	"testing"
)

// NewTLS starts a server that speaks TLS from the first byte (RFC 8314), and
// returns what a client must trust to talk to it.
func NewTLS(t testing.TB) (*Server, *x509.CertPool) {
	t.Helper()
	config, pool := certificate()
	return run(t, tls.NewListener(listen(t), config), nil), pool
}

// NewStartTLS starts a server that offers to go on encrypted (RFC 3207), and
// returns what a client must trust to do so.
func NewStartTLS(t testing.TB) (*Server, *x509.CertPool) {
	t.Helper()
	config, pool := certificate()
	return run(t, listen(t), config), pool
}

func listen(t testing.TB) net.Listener {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	return listener
}

// certificate borrows the one that the standard library keeps for tests; it is
// good for 127.0.0.1.
func certificate() (*tls.Config, *x509.CertPool) {
	lender := httptest.NewTLSServer(nil)
	defer lender.Close()
	pool := x509.NewCertPool()
	pool.AddCert(lender.Certificate())
	return &tls.Config{Certificates: lender.TLS.Certificates, MinVersion: tls.VersionTLS12}, pool
}
