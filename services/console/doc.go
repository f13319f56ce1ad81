// Package console shows the system at work in a browser: the orders as they
// happen, the figures of management, whether every service works, and the way
// of one order through the services.
//
// It owns no data and writes none. Everything it shows is asked of the services
// over HTTP, only while somebody looks, once for everybody who looks, and
// reaches the browsers as server-sent events. A service that does not answer is
// named on the page; the rest goes on.
package console
