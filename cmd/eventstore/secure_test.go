package main

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
)

// certificate writes a certificate for the loopback interface that signs itself, and its key.
func certificate(t *testing.T, from, until time.Time) (certFile, keyFile string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "event store"}, NotBefore: from, NotAfter: until,
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)}, BasicConstraintsValid: true, IsCA: true,
	}
	signed, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	certFile, keyFile = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	for file, block := range map[string]*pem.Block{
		certFile: {Type: "CERTIFICATE", Bytes: signed}, keyFile: {Type: "PRIVATE KEY", Bytes: private},
	} {
		if err := os.WriteFile(file, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return certFile, keyFile
}

// valid is a certificate for today, as arguments; the first is that of the client.
func valid(t *testing.T) (certFile string, args []string) {
	t.Helper()
	certFile, keyFile := certificate(t, time.Now().Add(-time.Hour), time.Now().Add(time.Hour))
	return certFile, []string{"--tls-cert", certFile, "--tls-key", keyFile}
}

// appendAs appends an event as a user of a secure program.
func (p *program) appendAs(t *testing.T, certFile, user, password string) error {
	t.Helper()
	config, err := esdb.ParseConnectionString(p.connectionString + "&tlsCAFile=" + certFile)
	if err != nil {
		t.Fatalf("the ready line gives %q: %v", p.connectionString, err)
	}
	config.Logger, config.Username, config.Password = esdb.NoopLogging(), user, password
	client, err := esdb.NewClient(config)
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	_, err = client.AppendToStream(t.Context(), "s", esdb.AppendToStreamOptions{}, esdb.EventData{EventType: "x"})
	return err
}

// expect checks who is let in.
func (p *program) expect(t *testing.T, certFile, user, password string, letIn bool) {
	t.Helper()
	err := p.appendAs(t, certFile, user, password)
	if coded, _ := esdb.FromError(err); err != nil && !coded.IsErrorCode(esdb.ErrorCodeUnauthenticated) {
		t.Errorf("%s with %q: %v", user, password, err)
	}
	if (err == nil) != letIn {
		t.Errorf("%s with %q: %v, let in should be %t", user, password, err, letIn)
	}
}

func TestSecureServerLetsInWhoeverHasThePassword(t *testing.T) {
	certFile, args := valid(t)
	p := start(t, append(args, "--admin-password", "s3cret ${x}")...)
	p.expect(t, certFile, "admin", "s3cret ${x}", true)
	p.expect(t, certFile, "admin", "changeit", false)
	p.expect(t, certFile, "ops", "changeit", true)
	if !strings.HasSuffix(p.connectionString, "?tls=true") || strings.Contains(p.connectionString, "s3cret") {
		t.Errorf("connection string %s", p.connectionString)
	}
	if code := p.stop(); code != 0 {
		t.Errorf("exit code %d", code)
	}
	// What it logs names the user who was refused, and nothing that was tried.
	if log := p.stderr.String(); strings.Contains(log, "s3cret") || strings.Contains(log, "changeit") {
		t.Errorf("a password is in the log:\n%s", log)
	}
}

func TestPasswordIsThatOfTheFirstStartUntilItIsReset(t *testing.T) {
	certFile, args := valid(t)
	args = append(args, "--data", t.TempDir())
	t.Setenv("EVENTSTORE_DEFAULT_ADMIN_PASSWORD", "first ${x}")
	first := start(t, args...)
	first.expect(t, certFile, "admin", "first ${x}", true)
	first.stop()

	t.Setenv("EVENTSTORE_DEFAULT_ADMIN_PASSWORD", "second")
	second := start(t, args...)
	second.expect(t, certFile, "admin", "first ${x}", true)
	second.expect(t, certFile, "admin", "second", false)
	second.stop()
	if !strings.Contains(second.stderr.String(), "another password than the one given") {
		t.Errorf("nobody was told that the password given counts for nothing:\n%s", second.stderr)
	}

	third := start(t, append(args, "--reset-passwords")...)
	third.expect(t, certFile, "admin", "second", true)
	third.expect(t, certFile, "admin", "first ${x}", false)
	third.expect(t, certFile, "ops", "changeit", true)
	third.stop()
	if third.stderr.Len() > 0 {
		t.Errorf("said %s", third.stderr)
	}
}

func TestOperatorIsWarned(t *testing.T) {
	_, today := valid(t)
	past, pastKey := certificate(t, time.Now().Add(-2*time.Hour), time.Now().Add(-time.Hour))
	future, futureKey := certificate(t, time.Now().Add(time.Hour), time.Now().Add(2*time.Hour))
	for _, test := range []struct {
		name string
		args []string
		says string // empty: nothing
	}{
		{"of nothing when all is well", today, ""},
		{"of an expired certificate", []string{"--tls-cert", past, "--tls-key", pastKey}, "has expired"},
		{"of a certificate that is not valid yet", []string{"--tls-cert", future, "--tls-key", futureKey}, "not valid yet"},
		{"of default passwords that others can use", append([]string{"--listen", "0.0.0.0:0"}, today...), "default password"},
		{"not of passwords that were chosen", append([]string{"--listen", "0.0.0.0:0", "--admin-password", "a", "--ops-password", "b"}, today...), ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			p := start(t, test.args...)
			_, address, _ := strings.Cut(strings.TrimSuffix(p.connectionString, "?tls=true"), "esdb://")
			c, err := tls.Dial("tcp", address, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS12}) // it serves
			if err != nil {
				t.Fatal(err)
			}
			c.Close()
			if code := p.stop(); code != 0 {
				t.Errorf("exit code %d", code)
			}
			said := p.stderr.String()
			if test.says == "" && said != "" || !strings.Contains(said, test.says) {
				t.Errorf("said %q, want %q", said, test.says)
			}
		})
	}
}

func TestSecureServerThatCannotRunSaysWhyOnOneLine(t *testing.T) {
	_, today := valid(t)
	cert, key := today[1], today[3]
	_, otherKey := certificate(t, time.Now(), time.Now().Add(time.Hour))
	rubbish := filepath.Join(t.TempDir(), "rubbish.pem")
	if err := os.WriteFile(rubbish, []byte("rubbish"), 0o600); err != nil {
		t.Fatal(err)
	}
	missing := filepath.Join(t.TempDir(), "missing.pem")
	for _, test := range []struct {
		name string
		args []string
		code int
		says []string
	}{
		{"no such certificate", []string{"--tls-cert", missing, "--tls-key", key}, 1, []string{missing, "no such file"}},
		{"no such key", []string{"--tls-cert", cert, "--tls-key", missing}, 1, []string{missing, "no such file"}},
		{"a directory as certificate", []string{"--tls-cert", filepath.Dir(cert), "--tls-key", key}, 1, []string{filepath.Dir(cert)}},
		{"a certificate that is none", []string{"--tls-cert", rubbish, "--tls-key", key}, 1, []string{rubbish, "PEM"}},
		{"a key that is none", []string{"--tls-cert", cert, "--tls-key", rubbish}, 1, []string{rubbish, "PEM"}},
		{"a key in place of the certificate", []string{"--tls-cert", key, "--tls-key", key}, 1, []string{key}},
		{"another certificate's key", []string{"--tls-cert", cert, "--tls-key", otherKey}, 1, []string{cert, otherKey, "does not match"}},
		{"a certificate without a key", []string{"--tls-cert", cert}, 2, []string{"--tls-key"}},
		{"a key without a certificate", []string{"--tls-key", key}, 2, []string{"--tls-cert"}},
		{"a password without a certificate", []string{"--admin-password", "s3cret"}, 2, []string{"--tls-cert"}},
		{"anonymous access without a certificate", []string{"--allow-anonymous-stream-access"}, 2, []string{"--tls-cert"}},
		{"a reset to nothing", append([]string{"--reset-passwords"}, today...), 2, []string{"--reset-passwords"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			ctx, cancel := context.WithTimeoutCause(t.Context(), 30*time.Second, errors.New("the program did not give up"))
			defer cancel()
			var stdout, stderr bytes.Buffer
			if code := run(ctx, append([]string{"--listen", "127.0.0.1:0"}, test.args...), &stdout, &stderr); code != test.code {
				t.Errorf("exit code %d, want %d", code, test.code)
			}
			if lines := strings.Count(stderr.String(), "\n"); lines != 1 {
				t.Errorf("%d lines instead of one:\n%s", lines, &stderr)
			}
			for _, text := range test.says {
				if !strings.Contains(stderr.String(), text) {
					t.Errorf("%q does not say %q", &stderr, text)
				}
			}
			if strings.Contains(stderr.String(), "s3cret") {
				t.Errorf("%q gives the password away", &stderr)
			}
			if stdout.Len() > 0 {
				t.Errorf("said it was ready: %s", &stdout)
			}
		})
	}
}
