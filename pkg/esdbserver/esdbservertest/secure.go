package esdbservertest

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"math/big"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"

	"orderflow/pkg/esdbserver"
)

// Secure makes the store ask for credentials and encrypt its connections, with a certificate for the loopback interface
// that is signed by an authority made for this test. The users are admin and ops, with the password changeit unless
// Configure says otherwise; they cost little to check, so that tests do not wait for it.
func Secure() Option {
	return func(c *esdbserver.Config) {
		c.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
		c.PasswordIterations = 100
	}
}

// ConnectionStringFor is what the official client is given to call as a user of a secure store. Without a name the client
// has no credentials.
func (s *Server) ConnectionStringFor(user, password string) string {
	s.t.Helper()
	if s.secure == nil {
		s.t.Fatal("the store has no users: start it with esdbservertest.Secure()")
	}
	return s.secure.connectionString(s.Addr(), user, password)
}

func (a *authority) connectionString(addr, user, password string) string {
	query := url.Values{"tls": {"true"}}
	if a.file == "" {
		query.Set("tlsVerifyCert", "false")
	} else {
		query.Set("tlsCAFile", a.file)
	}
	connection := url.URL{Scheme: "esdb", Host: addr, RawQuery: query.Encode()}
	if user != "" {
		connection.User = url.UserPassword(user, password)
	}
	return connection.String()
}

// ClientFor connects the official client as a user of a secure store, and closes it when the test ends.
func (s *Server) ClientFor(t testing.TB, user, password string) *esdb.Client {
	t.Helper()
	return connect(t, s.ConnectionStringFor(user, password))
}

// TLS is what a client other than the official one needs to trust a secure store.
func (s *Server) TLS() *tls.Config {
	s.t.Helper()
	if s.secure == nil {
		s.t.Fatal("the store is in the clear: start it with esdbservertest.Secure()")
	}
	return &tls.Config{RootCAs: s.secure.pool, MinVersion: tls.VersionTLS12}
}

// authority signs the certificate of one store. It is empty when Configure chose a certificate, which is then not checked.
type authority struct {
	file string // with its own certificate
	pool *x509.CertPool
}

// certify gives a secure store a certificate, unless it has one.
func certify(t testing.TB, config *esdbserver.Config) *authority {
	t.Helper()
	switch {
	case config.TLS == nil:
		return nil
	case len(config.TLS.Certificates) > 0:
		return &authority{}
	}
	serial := int64(0)
	template := func(name string) *x509.Certificate {
		serial++
		return &x509.Certificate{
			SerialNumber: big.NewInt(serial), Subject: pkix.Name{CommonName: name},
			NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		}
	}
	ca := template("authority of a test")
	ca.IsCA, ca.BasicConstraintsValid, ca.KeyUsage = true, true, x509.KeyUsageCertSign
	caKey, caBytes := issue(t, ca, ca, nil)

	leaf := template("event store of a test")
	leaf.IPAddresses, leaf.DNSNames = []net.IP{net.IPv4(127, 0, 0, 1), net.IPv6loopback}, []string{"localhost"}
	leaf.KeyUsage, leaf.ExtKeyUsage = x509.KeyUsageDigitalSignature, []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth}
	leafKey, leafBytes := issue(t, leaf, ca, caKey)
	config.TLS.Certificates = []tls.Certificate{{Certificate: [][]byte{leafBytes}, PrivateKey: leafKey}}

	a := &authority{file: filepath.Join(t.TempDir(), "ca.pem"), pool: x509.NewCertPool()}
	encoded := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: caBytes})
	if err := os.WriteFile(a.file, encoded, 0o600); err != nil {
		t.Fatalf("certificate of the authority: %v", err)
	}
	a.pool.AppendCertsFromPEM(encoded)
	return a
}

// issue makes a key and a certificate for it, signed with the parent's key, or with its own.
func issue(t testing.TB, template, parent *x509.Certificate, signer *ecdsa.PrivateKey) (*ecdsa.PrivateKey, []byte) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatalf("make a key: %v", err)
	}
	if signer == nil {
		signer = key
	}
	certificate, err := x509.CreateCertificate(rand.Reader, template, parent, &key.PublicKey, signer)
	if err != nil {
		t.Fatalf("make a certificate: %v", err)
	}
	return key, certificate
}
