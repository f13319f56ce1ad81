package rabbitmq

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"strings"
	"time"

	amqp "github.com/rabbitmq/amqp091-go"
)

// DefaultNamespace is the namespace in which queues are named after services.
const DefaultNamespace = "orderflow"

// Config says where the broker is. Only URL is required.
type Config struct {
	// URL is amqp://user:password@host:port/vhost or amqps://...; several
	// nodes of a cluster are separated by commas and tried in turn. Special
	// characters in the password must be percent-encoded.
	URL string
	// Namespace goes before the names of exchanges and queues.
	Namespace string
	// ConnectionName is shown by the broker beside each connection.
	ConnectionName string
	// Logger receives what the bus does on its own; nil discards it.
	Logger *slog.Logger
	// TLS is used for amqps. Nil means the system's roots, or the certificates
	// that the URL names.
	TLS *tls.Config
	// Heartbeat is how often both sides show that they live; 0 means 10 s.
	Heartbeat time.Duration
	// DialTimeout bounds connecting, the handshakes included; 0 means 10 s.
	DialTimeout time.Duration
	// WriteTimeout bounds how long the network may refuse what is written
	// before the connection is given up; 0 means 15 s.
	WriteTimeout time.Duration
	// ConfirmTimeout bounds how long the broker may leave a publish without any
	// answer before the connection is given up; 0 means 30 s. Time during which
	// the broker says that it blocks does not count.
	ConfirmTimeout time.Duration
	// DeliveryLimit is how often a delivery may come back to a service's queue,
	// by crashes of its consumers, before the broker makes it a dead letter; 0
	// means 100. It belongs to the queue: for one that exists, another limit is
	// refused.
	DeliveryLimit int
}

// complete fills in the defaults and checks the URLs, without ever repeating
// one in an error: it holds a password.
func (c Config) complete() (Config, []string, error) {
	if c.Namespace == "" {
		c.Namespace = DefaultNamespace
	}
	if c.Logger == nil {
		c.Logger = slog.New(slog.DiscardHandler)
	}
	if c.ConnectionName == "" {
		c.ConnectionName = c.Namespace
	}
	for _, d := range []struct {
		value    *time.Duration
		standard time.Duration
	}{
		{&c.Heartbeat, 10 * time.Second},
		{&c.DialTimeout, 10 * time.Second},
		{&c.WriteTimeout, 15 * time.Second},
		{&c.ConfirmTimeout, 30 * time.Second},
	} {
		if *d.value < 0 {
			return c, nil, fmt.Errorf("negative timeout %s", *d.value)
		}
		if *d.value == 0 {
			*d.value = d.standard
		}
	}
	switch {
	case c.DeliveryLimit < 0:
		return c, nil, fmt.Errorf("negative delivery limit %d", c.DeliveryLimit)
	case c.DeliveryLimit == 0:
		c.DeliveryLimit = defaultDeliveryLimit
	}
	if len(c.Namespace) > maxNamespace {
		return c, nil, fmt.Errorf("namespace is longer than %d bytes", maxNamespace)
	}
	var urls []string
	for text := range strings.SplitSeq(c.URL, ",") {
		text = strings.TrimSpace(text)
		if _, err := amqp.ParseURI(text); err != nil {
			return c, nil, errors.New("the URL is not of the form amqp://user:password@host:port/vhost")
		}
		urls = append(urls, text)
	}
	return c, urls, nil
}

// maxNamespace leaves room for a queue's name and its suffixes in 255 bytes.
const maxNamespace = 50

// redacted is the URL as it may be shown.
func redacted(text string) string {
	parsed, err := url.Parse(text)
	if err != nil {
		return "(unreadable URL)"
	}
	return parsed.Redacted()
}
