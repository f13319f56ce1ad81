// Package client calls the services over HTTP, as any program would, with the few fields that telling a story and
// measuring need.
//
// A customer or a product is known to the order service a moment after it was made. Until then an order is answered
// with 409 and Retry-After; [Client.Eventually] is how a caller waits for that and for everything else that is on its
// way.
package client
