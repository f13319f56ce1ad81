// Package story keeps what crm knows: customers, their orders, and the mails
// about them.
//
// The promise. Rows are sets of facts, each taken in once, so any order of
// arrival ends in the same rows. News of an order may come before that of its
// customer, and a dispatch before the order itself: rows are partial until the
// rest arrives, and a customer is shown only once it is known that there is one.
// Of facts that change, a customer's contact and address, the one with the
// higher sequence stays.
//
// A mail is written in the transaction that takes in what it is about. Its id
// follows from order and kind, so there is one of each. What it is sent to is
// looked up when it is sent: until the address is known, it waits.
//
// A customer who is forgotten leaves a row behind that says only that, and that
// nothing fills any more; their orders stay, as orders of nobody. A mail on its way
// to the mail server at that moment may still go out.
//
// How to read it: events.go has what is read from the bus, customer.go, order.go
// and mail.go the rows, queue.go what the sender needs, read.go and api.go the
// questions.
package story
