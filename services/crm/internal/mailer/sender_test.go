package mailer

import (
	"context"
	"crypto/x509"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orderflow/pkg/sqldb"
	"orderflow/pkg/sqldb/sqldbtest"
	"orderflow/services/crm/internal/smtptest"
)

func TestQueuedMailsAreSentOnceEach(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		server := smtptest.New(t)
		p := newPost(t, db, server.URL(), Options{})
		p.run(t)
		for i := range 5 {
			p.queue(t, i)
		}
		p.await(t, "sent", 5)
		var to []string
		for _, m := range server.Mails() {
			to = append(to, fmt.Sprint(m.From, " ", m.To, " ", strings.HasPrefix(m.Subject(t), "We have received your order 0192")))
		}
		if diff := cmp.Diff(slices.Repeat([]string{"orders@orderflow.example [zoe@example.org] true"}, 5), to); diff != "" {
			t.Error(diff)
		}
		if text := server.Mails()[0].Text(t); !strings.Contains(text, "Hello Zoë Müller,") || !strings.Contains(text, "2 x Green tea, 4.50 EUR each") {
			t.Error(text)
		}
		sqldbtest.Eventually(t, "they were counted", func() bool { return p.sender.Stats() == Stats{Sent: 5} })
		if err := p.sender.Ready(); err != nil {
			t.Error(err)
		}
	})
}

func TestSenderLogsIn(t *testing.T) {
	server := smtptest.New(t)
	var given atomic.Value
	server.Behave(func(step smtptest.Step, argument string) string {
		if step == smtptest.Auth {
			given.Store(argument)
		}
		return ""
	})
	p := newPost(t, sqldbtest.SQLite(t), "smtp://zoe:secret@"+server.Address(), Options{})
	p.run(t)
	p.queue(t, 0)
	p.await(t, "sent", 1)
	if got := given.Load(); got != "PLAIN AHpvZQBzZWNyZXQ=" { // \0zoe\0secret
		t.Errorf("AUTH %v", got)
	}
}

func TestConversationIsEncryptedWhereTheServerCan(t *testing.T) {
	for scheme, start := range map[string]func(testing.TB) (*smtptest.Server, *x509.CertPool){"smtps": smtptest.NewTLS, "smtp": smtptest.NewStartTLS} {
		t.Run(scheme, func(t *testing.T) {
			server, pool := start(t)
			p := newPost(t, sqldbtest.SQLite(t), scheme+"://zoe:secret@"+server.Address(), quick)
			if p.sender.server.implicitTLS != (scheme == "smtps") {
				t.Fatal("the scheme is not heeded")
			}
			p.queue(t, 0)
			if err := p.sender.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "certificate") {
				t.Fatalf("a server that nobody vouches for: %v", err)
			}
			if got := server.Mails(); len(got) != 0 {
				t.Errorf("it was given %d mails", len(got))
			}
			p.sender.server.trusted = pool
			p.run(t)
			p.await(t, "sent", 1)
		})
	}
}

func TestMailThatIsRefusedForNowIsSentLater(t *testing.T) {
	for _, step := range []smtptest.Step{smtptest.MailFrom, smtptest.RcptTo, smtptest.Data, smtptest.End} {
		t.Run(string(step), func(t *testing.T) {
			server := smtptest.New(t)
			server.Behave(times(2, step, "451 come back later"))
			p := newPost(t, sqldbtest.SQLite(t), server.URL(), quick)
			p.run(t)
			p.queue(t, 0)
			p.await(t, "sent", 1)
			if attempts, _ := p.last(t, 0); attempts != 3 {
				t.Errorf("%d attempts, want 3", attempts)
			}
		})
	}
}

func TestMailThatIsRefusedForGoodFailsAndHoldsUpNoOther(t *testing.T) {
	for _, step := range []smtptest.Step{smtptest.MailFrom, smtptest.RcptTo, smtptest.Data, smtptest.End} {
		t.Run(string(step), func(t *testing.T) {
			server := smtptest.New(t)
			server.Behave(times(1, step, "550 5.1.1 nobody of that name"))
			p := newPost(t, sqldbtest.SQLite(t), server.URL(), quick)
			p.queue(t, 0)
			p.queue(t, 1)
			p.run(t)
			p.await(t, "failed", 1)
			p.await(t, "sent", 1)
			if attempts, reason := p.last(t, 0); attempts != 1 || !strings.Contains(reason, "550") || !strings.Contains(reason, "5.1.1 nobody of that name") || strings.Contains(reason, "zoe@") {
				t.Errorf("%d attempts, reason %q", attempts, reason)
			}
			sqldbtest.Eventually(t, "they were counted", func() bool { return p.sender.Stats() == Stats{Sent: 1, Failed: 1} })
		})
	}
}

// TestNoReasonNamesTheRecipient has the server repeat the address, as most do, in
// whatever case: a reason is logged, and logs are erased by nobody.
func TestNoReasonNamesTheRecipient(t *testing.T) {
	server := smtptest.New(t)
	server.Behave(times(1, smtptest.RcptTo, "550 5.1.1 <ZOE@example.org>: zoe@example.org is nobody of that name"))
	p := newPost(t, sqldbtest.SQLite(t), server.URL(), quick)
	p.queue(t, 0)
	p.run(t)
	p.await(t, "failed", 1)
	if _, reason := p.last(t, 0); !strings.Contains(reason, "5.1.1 <(recipient)>: (recipient) is nobody of that name") {
		t.Errorf("reason %q", reason)
	}
}

func TestMailThatNeverGetsThroughIsGivenUp(t *testing.T) {
	server := smtptest.New(t)
	server.Behave(func(step smtptest.Step, _ string) string {
		if step == smtptest.RcptTo {
			return "450 mailbox is busy"
		}
		return ""
	})
	options := quick
	options.MaxAttempts = 4
	p := newPost(t, sqldbtest.SQLite(t), server.URL(), options)
	p.run(t)
	p.queue(t, 0)
	p.await(t, "failed", 1)
	if attempts, reason := p.last(t, 0); attempts != 4 || !strings.Contains(reason, "450") || !strings.Contains(reason, "mailbox is busy") {
		t.Errorf("%d attempts, reason %q", attempts, reason)
	}
}

func TestMailCutOffInTheMiddleIsSentAgain(t *testing.T) {
	server := smtptest.New(t)
	server.Behave(times(1, smtptest.Body, smtptest.HangUp))
	p := newPost(t, sqldbtest.SQLite(t), server.URL(), quick)
	p.run(t)
	p.queue(t, 0)
	p.queue(t, 1)
	p.await(t, "sent", 2)
	if n := len(server.Mails()); n != 2 {
		t.Errorf("%d mails arrived", n)
	}
}

func TestMailWhoseFateIsUnknownIsSentAgainUnderTheSameID(t *testing.T) {
	server := smtptest.New(t)
	server.Behave(times(1, smtptest.End, smtptest.HangUp)) // it was taken, and nobody heard of it
	p := newPost(t, sqldbtest.SQLite(t), server.URL(), quick)
	p.run(t)
	p.queue(t, 0)
	p.await(t, "sent", 1)
	mails := server.Mails()
	if len(mails) != 2 || mails[0].ID() == "" || mails[0].ID() != mails[1].ID() {
		t.Errorf("%d mails: %v", len(mails), mails)
	}
}

func TestServerThatTakesAFewAtATimeIsCalledAgain(t *testing.T) {
	server := smtptest.New(t)
	var inSession atomic.Int64
	server.Behave(func(step smtptest.Step, _ string) string {
		if step == smtptest.Greeting {
			inSession.Store(0)
		}
		if step == smtptest.MailFrom {
			if inSession.Add(1) > 3 {
				return "421 enough for now"
			}
		}
		return ""
	})
	p := newPost(t, sqldbtest.SQLite(t), server.URL(), quick)
	for i := range 10 {
		p.queue(t, i)
	}
	p.run(t)
	p.await(t, "sent", 10)
	if n := p.attempts(t); n != 10 {
		t.Errorf("%d attempts for 10 mails", n)
	}
}

func TestOutageOfTheServerIsNotTheMailsFault(t *testing.T) {
	server := smtptest.New(t)
	address := server.Address()
	server.Stop()
	p := newPost(t, sqldbtest.SQLite(t), "smtp://"+address, quick)
	p.queue(t, 0)
	for range 20 { // more often than a mail is tried
		if err := p.sender.Run(t.Context()); err == nil {
			t.Fatal("no error without a server")
		}
	}
	if err := p.sender.Ready(); err == nil || !strings.Contains(err.Error(), address) {
		t.Errorf("ready: %v", err)
	}
	if attempts, _ := p.last(t, 0); attempts != 0 {
		t.Errorf("%d attempts counted", attempts)
	}
	back := smtptest.On(t, address)
	back.Behave(times(1, smtptest.Greeting, "421 starting"))
	p.run(t)
	p.await(t, "sent", 1)
	if err := p.sender.Ready(); err != nil {
		t.Error(err)
	}
}

func TestAddressThatIsNoneFailsWithoutACall(t *testing.T) {
	server := smtptest.New(t)
	p := newPost(t, sqldbtest.SQLite(t), server.URL(), quick)
	p.customer(t, "not an address")
	p.run(t)
	p.queue(t, 0)
	p.await(t, "failed", 1)
	if server.Sessions() != 0 {
		t.Errorf("%d conversations about it", server.Sessions())
	}
}

func TestSeveralSendersSendEachMailOnce(t *testing.T) {
	sqldbtest.Each(t, func(t *testing.T, db sqldb.DB) {
		server := smtptest.New(t)
		options := quick
		options.Lease = time.Minute
		one, two := newPost(t, db, server.URL(), options), newPost(t, db, server.URL(), options)
		stopOne := one.run(t)
		two.run(t)
		for i := range 20 {
			one.queue(t, i)
		}
		one.await(t, "sent", 20)
		stopOne()
		two.queue(t, 20)
		two.await(t, "sent", 21)
		ids := map[string]int{}
		for _, m := range server.Mails() {
			ids[m.ID()]++
		}
		if len(ids) != 21 || len(server.Mails()) != 21 {
			t.Errorf("%d mails arrived, %d different", len(server.Mails()), len(ids))
		}
	})
}

func TestStoppingEndsAConversationThatHangs(t *testing.T) {
	server := smtptest.New(t)
	release := make(chan struct{})
	reached := make(chan struct{}, 1)
	var once sync.Once
	t.Cleanup(func() { once.Do(func() { close(release) }) })
	server.Behave(func(step smtptest.Step, _ string) string {
		if step == smtptest.Greeting {
			reached <- struct{}{}
			<-release
		}
		return ""
	})
	p := newPost(t, sqldbtest.SQLite(t), server.URL(), quick)
	p.queue(t, 0)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- p.sender.Run(ctx) }()
	<-reached
	cancel()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	once.Do(func() { close(release) })
	if attempts, _ := p.last(t, 0); attempts != 0 {
		t.Errorf("%d attempts counted", attempts)
	}
}

func TestDelaysGrowUpToTheLongest(t *testing.T) {
	s := &Sender{options: Options{BaseDelay: time.Second, MaxDelay: 10 * time.Second}.withDefaults()}
	var got []time.Duration
	for attempt := 1; attempt <= 6; attempt++ {
		got = append(got, s.delay(attempt)/time.Second)
	}
	if diff := cmp.Diff([]time.Duration{1, 2, 4, 8, 10, 10}, got); diff != "" {
		t.Error(diff)
	}
}

func TestRetriedMailsTellTheNews(t *testing.T) {
	server := smtptest.New(t)
	server.Behave(times(1, smtptest.RcptTo, "451 later"))
	options := quick
	options.BaseDelay, options.MaxDelay = time.Hour, time.Hour
	p := newPost(t, sqldbtest.SQLite(t), server.URL(), options)
	p.dispatch(t, 0)
	stop := p.run(t)
	sqldbtest.Eventually(t, "tried", func() bool {
		return sqldbtest.Count(t, p.db, `SELECT count(*) FROM mail WHERE attempts = 1`) == 1
	})
	stop()
	p.cancel(t, 0)
	sqldbtest.Exec(t, p.db, `UPDATE mail SET due_at = 0`)
	p.run(t)
	p.await(t, "sent", 2)
	for _, m := range server.Mails() {
		if text := m.Text(t); !strings.Contains(text, "but the parcel had already left us") {
			t.Errorf("%s: %s", m.Subject(t), text)
		}
	}
}
