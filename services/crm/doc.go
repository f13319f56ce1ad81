// Package crm is the service that knows the customer's whole story and writes
// the mails that go with it.
//
// The promise. Whatever happened to an order, its customer is told once and
// truthfully. A mail is a row, written in the transaction that takes in what it
// is about, so that none is forgotten and none is written twice; it goes out
// over SMTP afterwards, and out again only when nobody can know whether it had
// gone, under the same Message-ID. Without SMTP_URL mails are kept and shown.
//
// Settings besides those of every service:
//
//	SMTP_URL   smtp://user:password@host:587, smtps://host:465; ?from= replaces MAIL_FROM
//	MAIL_FROM  the sender, as in orderflow <orders@orderflow.example>
//
// It publishes nothing. Package letters says what is told, story keeps the rows,
// mailer sends.
package crm
