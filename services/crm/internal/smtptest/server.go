package smtptest

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"net"
	"strings"
	"sync"
	"testing"
)

// Step is a step of a conversation at which the server asks what to answer.
type Step string

// The steps. For MAIL and RCPT the argument is the address, for BODY and END the
// Message-ID is not known yet and known.
const (
	Greeting Step = "greeting" // the connection was made
	Auth     Step = "AUTH"     // with its argument
	MailFrom Step = "MAIL"
	RcptTo   Step = "RCPT"
	Data     Step = "DATA" // the client wants to send the text
	Body     Step = "body" // the text has begun
	End      Step = "end"  // the text is complete, and recorded
)

// HangUp is the answer that ends the connection without a word.
const HangUp = "hang up"

// Answer decides what the server says at a step: a reply such as "550 no such
// user", [HangUp], or "" for what a server says that has nothing against it.
type Answer func(step Step, argument string) string

// Server is a running mail server. Safe for concurrent use.
type Server struct {
	listener    net.Listener
	tasks       sync.WaitGroup
	certificate *tls.Config // for STARTTLS; nil where there is none

	mu       sync.Mutex
	answer   Answer
	mails    []Mail
	open     map[net.Conn]bool
	sessions int
}

// New starts a server on a free port of this machine, until the test ends.
func New(t testing.TB) *Server {
	t.Helper()
	return On(t, "127.0.0.1:0")
}

// On starts a server on an address, such as that of one that was stopped.
func On(t testing.TB, address string) *Server {
	t.Helper()
	listener, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	return run(t, listener, nil)
}

func run(t testing.TB, listener net.Listener, certificate *tls.Config) *Server {
	s := &Server{
		listener: listener, certificate: certificate, open: map[net.Conn]bool{}, answer: func(Step, string) string { return "" },
	}
	s.tasks.Go(s.serve)
	t.Cleanup(s.Stop)
	return s
}

// Address is the host and port of the server.
func (s *Server) Address() string { return s.listener.Addr().String() }

// URL is the server as SMTP_URL names it.
func (s *Server) URL() string { return "smtp://" + s.Address() }

// Behave sets what the server answers from now on.
func (s *Server) Behave(answer Answer) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// Mails returns what was received completely, in order of arrival, also where
// the answer to it was not that it was taken.
func (s *Server) Mails() []Mail {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]Mail(nil), s.mails...)
}

// Sessions counts the conversations so far.
func (s *Server) Sessions() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions
}

// Stop hangs up on everybody and frees the port.
func (s *Server) Stop() {
	_ = s.listener.Close() // a second time it is closed already
	s.mu.Lock()
	for conn := range s.open {
		_ = conn.Close() // whoever reads it notices
	}
	s.mu.Unlock()
	s.tasks.Wait()
}

func (s *Server) serve() {
	for {
		conn, err := s.listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue // the client has gone already
		}
		s.mu.Lock()
		s.sessions++
		s.open[conn] = true
		s.mu.Unlock()
		s.tasks.Go(func() {
			s.talk(conn)
			_ = conn.Close() // it may be closed already
			s.mu.Lock()
			delete(s.open, conn)
			s.mu.Unlock()
		})
	}
}

func (s *Server) ask(step Step, argument, otherwise string) string {
	s.mu.Lock()
	answer := s.answer
	s.mu.Unlock()
	if text := answer(step, argument); text != "" {
		return text
	}
	return otherwise
}

// talk is one conversation; it returns when it is over.
func (s *Server) talk(conn net.Conn) {
	in := bufio.NewReader(conn)
	var mail Mail
	say := func(reply string) bool {
		if reply == HangUp {
			return false
		}
		_, err := conn.Write([]byte(reply + "\r\n"))
		return err == nil
	}
	goesOn := say(s.ask(Greeting, "", "220 smtptest ready"))
	for goesOn {
		line, err := in.ReadString('\n')
		if err != nil {
			return
		}
		command, argument, _ := strings.Cut(strings.TrimRight(line, "\r\n"), " ")
		switch strings.ToUpper(command) {
		case "EHLO":
			starttls := ""
			if _, encrypted := conn.(*tls.Conn); s.certificate != nil && !encrypted {
				starttls = "250-STARTTLS\r\n"
			}
			goesOn = say("250-smtptest\r\n" + starttls + "250-8BITMIME\r\n250-SMTPUTF8\r\n250 AUTH PLAIN")
		case "STARTTLS":
			if goesOn = s.certificate != nil && say("220 go ahead"); goesOn {
				conn = tls.Server(conn, s.certificate)
				in = bufio.NewReader(conn)
			}
		case "AUTH":
			goesOn = say(s.ask(Auth, argument, "235 welcome"))
		case "MAIL":
			mail = Mail{From: address(argument)}
			goesOn = say(s.ask(MailFrom, mail.From, "250 ok"))
		case "RCPT":
			mail.To = append(mail.To, address(argument))
			goesOn = say(s.ask(RcptTo, address(argument), "250 ok"))
		case "DATA":
			goesOn = s.data(in, mail, say)
		case "RSET", "NOOP", "HELO":
			goesOn = say("250 ok")
		case "QUIT":
			say("221 bye")
			return
		default:
			goesOn = say("500 what is " + command + "?")
		}
	}
}

// data takes the text of a mail.
func (s *Server) data(in *bufio.Reader, mail Mail, say func(string) bool) (goesOn bool) {
	if reply := s.ask(Data, "", "354 go ahead"); reply != "354 go ahead" {
		return say(reply)
	} else if !say(reply) {
		return false
	}
	var text strings.Builder
	for {
		line, err := in.ReadString('\n')
		if err != nil {
			return false
		}
		if text.Len() == 0 && s.ask(Body, "", "") == HangUp {
			return false
		}
		if line == ".\r\n" {
			break
		}
		text.WriteString(strings.TrimPrefix(line, ".")) // RFC 5321, 4.5.2
	}
	mail.Raw = text.String()
	s.mu.Lock()
	s.mails = append(s.mails, mail)
	s.mu.Unlock()
	return say(s.ask(End, mail.ID(), "250 taken"))
}

func address(argument string) string {
	_, rest, _ := strings.Cut(argument, "<")
	found, _, _ := strings.Cut(rest, ">")
	return found
}
