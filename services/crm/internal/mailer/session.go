package mailer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/textproto"
	"regexp"
	"strings"
	"time"

	gomail "github.com/wneessen/go-mail"
	"github.com/wneessen/go-mail/smtp"
)

// session is one conversation with the server.
type session struct {
	client *gomail.Client
	conn   *smtp.Client
	stop   func() bool
	taken  int // how many mails the server took in it
}

// begin connects, encrypts where the server can, and logs in. The end of ctx
// ends the conversation, wherever it is.
func begin(ctx context.Context, server Server) (*session, error) {
	s := &session{stop: func() bool { return true }}
	options := []gomail.Option{
		gomail.WithPort(server.port),
		gomail.WithTimeout(timeout),
		gomail.WithTLSPolicy(gomail.TLSOpportunistic),
		gomail.WithTLSConfig(server.tls()),
		gomail.WithDialContextFunc(func(dialCtx context.Context, network, address string) (net.Conn, error) {
			conn, err := dial(dialCtx, server, network, address)
			if err != nil {
				return nil, err
			}
			s.stop = context.AfterFunc(ctx, func() { _ = conn.Close() }) // whoever uses it gets the error
			return conn, nil
		}),
	}
	if server.username != "" {
		auth := gomail.SMTPAuthAutoDiscover
		if server.local() && !server.implicitTLS {
			auth = gomail.SMTPAuthPlain
		}
		options = append(options, gomail.WithSMTPAuth(auth), gomail.WithUsername(server.username), gomail.WithPassword(server.password))
	}
	var err error
	if s.client, err = gomail.NewClient(server.host, options...); err != nil {
		return nil, fmt.Errorf("mail server %s: %w", server.address(), err)
	}
	if s.conn, err = s.client.DialToSMTPClientWithContext(ctx); err != nil {
		s.stop()
		return nil, fmt.Errorf("mail server %s: %w", server.address(), err)
	}
	return s, nil
}

// dial connects, with a deadline that covers the greeting as well: a server
// that accepts and then says nothing must not hold up the sender.
func dial(ctx context.Context, server Server, network, address string) (net.Conn, error) {
	dialer := &net.Dialer{}
	var conn net.Conn
	var err error
	if server.implicitTLS {
		secure := &tls.Dialer{NetDialer: dialer, Config: server.tls()}
		conn, err = secure.DialContext(ctx, network, address)
	} else {
		conn, err = dialer.DialContext(ctx, network, address)
	}
	if err != nil {
		return nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(timeout)); err != nil {
		return nil, errors.Join(err, conn.Close())
	}
	return conn, nil
}

// end says goodbye, as well as that is possible.
func (s *session) end() {
	if s == nil {
		return
	}
	s.stop()
	if err := s.client.CloseWithSMTPClient(s.conn); err != nil {
		_ = s.conn.Close() // the server has gone: nothing to be polite to
	}
}

// verdict is what an attempt to send a mail came to.
type verdict int

const (
	accepted  verdict = iota // the server took it
	refused                  // it never will
	unsettled                // perhaps another time
	outage                   // not the mail's fault
)

// send hands one mail to the server.
func (s *session) send(m *gomail.Msg) (verdict, error) {
	err := s.client.SendWithSMTPClient(s.conn, m)
	if err == nil || m.IsDelivered() { // what came after its acceptance is no matter
		s.taken++
		return accepted, nil
	}
	return judge(err), err
}

// judge sorts errors of a conversation by the reply codes of RFC 5321, 4.2.
func judge(err error) verdict {
	var failure *gomail.SendError
	if !errors.As(err, &failure) {
		return unsettled
	}
	switch code := failure.ErrorCode(); {
	case failure.Reason == gomail.ErrConnCheck, code == 421: // it closes the connection
		return outage
	case code >= 500:
		return refused
	default:
		return unsettled
	}
}

// reasonOf is an error as one line that does not name the recipient: it is logged.
func reasonOf(err error, recipient string) string {
	text := err.Error()
	var reply *textproto.Error
	if errors.As(err, &reply) {
		text = reply.Error()
	}
	text, _, _ = strings.Cut(text, ", affected ")
	if recipient != "" { // servers repeat it
		text = regexp.MustCompile(`(?i)`+regexp.QuoteMeta(recipient)).ReplaceAllLiteralString(text, "(recipient)")
	}
	text = strings.ToValidUTF8(oneLine(text), "?")
	if letters := []rune(text); len(letters) > 300 {
		text = string(letters[:300]) + "..."
	}
	return text
}
