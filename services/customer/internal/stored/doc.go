// Package stored is the form in which the events of customers are kept in the
// event store. Whatever tells who somebody is or where they live is sealed with
// the customer's own key (package vault); the rest is plain JSON. A version, once
// written, is never changed.
package stored
