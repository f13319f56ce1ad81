// Package domain holds the rules of a customer: registered once, changed as
// often as they like, deactivated for good, and forgotten when they ask for it.
package domain

import (
	"errors"
	"time"
)

// The rules that can refuse a decision.
var (
	ErrNotRegistered     = errors.New("there is no such customer")
	ErrAlreadyRegistered = errors.New("the customer is registered already")
	ErrDeactivated       = errors.New("the customer is deactivated")
	ErrForgotten         = errors.New("the customer is forgotten")
)

// Erased stands where a customer was named who is forgotten.
const Erased = "forgotten"

// Contact is how a customer is addressed.
type Contact struct {
	Name  string
	Email string
}

// Address is where parcels go.
type Address struct {
	Line1    string
	Line2    string // may be empty
	City     string
	Postcode string
	Country  string // ISO 3166-1 alpha-2
}

// Status is whether a customer can order. The zero value was never registered.
type Status string

// The statuses.
const (
	StatusUnknown     Status = ""
	StatusActive      Status = "active"
	StatusDeactivated Status = "deactivated"
	StatusForgotten   Status = "forgotten"
)

// Customer is the state of one customer.
type Customer struct {
	Status  Status
	Contact Contact
	Address Address
}

// Event is something that happened to a customer.
//
//sumtype:decl
type Event interface{ event() }

// Registered opens the stream of every customer.
type Registered struct {
	Contact Contact
	Address Address
	At      time.Time
}

// ContactChanged replaces name and email.
type ContactChanged struct {
	Contact Contact
	At      time.Time
}

// AddressChanged replaces the address.
type AddressChanged struct {
	Address Address
	At      time.Time
}

// Deactivated says that the customer orders no more.
type Deactivated struct {
	Reason string
	At     time.Time
}

// Forgotten ends a stream: nothing that tells who the customer was can be read
// from then on. It holds nothing personal itself.
type Forgotten struct{ At time.Time }

func (Registered) event()     {}
func (ContactChanged) event() {}
func (AddressChanged) event() {}
func (Deactivated) event()    {}
func (Forgotten) event()      {}

// Register opens a customer.
func (c Customer) Register(contact Contact, address Address, now time.Time) ([]Event, error) {
	if c.Status != StatusUnknown {
		return nil, ErrAlreadyRegistered
	}
	return []Event{Registered{Contact: contact, Address: address, At: now}}, nil
}

// ChangeContact replaces name and email.
func (c Customer) ChangeContact(contact Contact, now time.Time) ([]Event, error) {
	if err := c.mustBeActive(); err != nil || c.Contact == contact {
		return nil, err
	}
	return []Event{ContactChanged{Contact: contact, At: now}}, nil
}

// ChangeAddress replaces the address.
func (c Customer) ChangeAddress(address Address, now time.Time) ([]Event, error) {
	if err := c.mustBeActive(); err != nil || c.Address == address {
		return nil, err
	}
	return []Event{AddressChanged{Address: address, At: now}}, nil
}

// Deactivate ends the customer's ordering; doing so twice is no error.
func (c Customer) Deactivate(reason string, now time.Time) ([]Event, error) {
	switch c.Status {
	case StatusUnknown:
		return nil, ErrNotRegistered
	case StatusForgotten:
		return nil, ErrForgotten
	case StatusDeactivated:
		return nil, nil
	case StatusActive:
	}
	return []Event{Deactivated{Reason: reason, At: now}}, nil
}

// Forget ends the customer, active or not; doing so twice is no error.
func (c Customer) Forget(now time.Time) ([]Event, error) {
	switch c.Status {
	case StatusUnknown:
		return nil, ErrNotRegistered
	case StatusForgotten:
		return nil, nil
	case StatusActive, StatusDeactivated:
	}
	return []Event{Forgotten{At: now}}, nil
}

func (c Customer) mustBeActive() error {
	switch c.Status {
	case StatusUnknown:
		return ErrNotRegistered
	case StatusDeactivated:
		return ErrDeactivated
	case StatusForgotten:
		return ErrForgotten
	case StatusActive:
	}
	return nil
}

// Apply returns the customer after an event. It never fails.
func Apply(c Customer, event Event) Customer {
	switch e := event.(type) {
	case Registered:
		c.Status, c.Contact, c.Address = StatusActive, e.Contact, e.Address
	case ContactChanged:
		c.Contact = e.Contact
	case AddressChanged:
		c.Address = e.Address
	case Deactivated:
		c.Status = StatusDeactivated
	case Forgotten:
		c = Customer{Status: StatusForgotten, Contact: Contact{Name: Erased}}
	}
	return c
}
