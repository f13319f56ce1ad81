// Package web is the customer service over HTTP.
package web

import (
	"orderflow/pkg/es"
	"orderflow/pkg/service"
	"orderflow/services/customer/internal/domain"
)

type address struct {
	Line1    string `json:"line1" minLength:"1" maxLength:"200" pattern:"^\\P{Cc}*[^\\p{Z}\\p{C}]\\P{Cc}*$" patternDescription:"printable text that is not blank"`
	Line2    string `json:"line2,omitempty" maxLength:"200" pattern:"^(\\P{Cc}*[^\\p{Z}\\p{C}]\\P{Cc}*)?$" patternDescription:"printable text that is not blank"`
	City     string `json:"city" minLength:"1" maxLength:"100" pattern:"^\\P{Cc}*[^\\p{Z}\\p{C}]\\P{Cc}*$" patternDescription:"printable text that is not blank"`
	Postcode string `json:"postcode" minLength:"1" maxLength:"20" pattern:"^\\P{Cc}*[^\\p{Z}\\p{C}]\\P{Cc}*$" patternDescription:"printable text that is not blank"`
	Country  string `json:"country" pattern:"^[A-Z]{2}$" patternDescription:"an ISO 3166-1 alpha-2 code" doc:"ISO 3166-1 alpha-2"`
}

// Contact is the part of a body that names a customer. It is exported because it is
// embedded: the schema of a body has the exported fields.
type Contact struct {
	Name  string `json:"name" minLength:"1" maxLength:"200" pattern:"^\\P{Cc}*[^\\p{Z}\\p{C}]\\P{Cc}*$" patternDescription:"printable text that is not blank"`
	Email string `json:"email" format:"email" maxLength:"254" pattern:"^[^\\x00-\\x20\\x7f<>@]+@[^\\x00-\\x20\\x7f<>@]+$" patternDescription:"a bare address"`
}

type registerBody struct {
	Contact
	Address address `json:"address"`
}

// customer is the body of a customer.
type customer struct {
	CustomerID string   `json:"customerId" format:"uuid"`
	Name       string   `json:"name" doc:"of one who is forgotten: forgotten"`
	Email      string   `json:"email,omitempty" doc:"absent of one who is forgotten"`
	Address    *address `json:"address,omitempty" doc:"likewise"`
	Status     string   `json:"status" enum:"active,deactivated,forgotten"`
	Version    int64    `json:"version"`
}

type customerOutput struct {
	ETag string `header:"ETag"`
	Body customer
}

// commandOutput is that of a command on a customer who exists.
type commandOutput struct {
	ETag     string `header:"ETag"`
	Position string `header:"Orderflow-Position" doc:"?after=... of a read, in any service: answer when it shows this"`
	Body     customer
}

type createdOutput struct {
	Location string `header:"Location"`
	ETag     string `header:"ETag"`
	Position string `header:"Orderflow-Position" doc:"?after=... of a read, in any service: answer when it shows this"`
	Body     customer
}

func answer(id string, c domain.Customer, version es.Revision) *customerOutput {
	body := customer{
		CustomerID: id, Name: c.Contact.Name, Email: c.Contact.Email, Status: string(c.Status), Version: int64(version),
	}
	if c.Status != domain.StatusForgotten {
		home := address(c.Address)
		body.Address = &home
	}
	return &customerOutput{ETag: service.ETag(int64(version)), Body: body}
}

type registerInput struct{ Body registerBody }

type customerInput struct {
	CustomerID string `path:"customerId"`
}

type addressInput struct {
	CustomerID string `path:"customerId"`
	IfMatch    string `header:"If-Match"`
	Body       address
}

type contactInput struct {
	CustomerID string `path:"customerId"`
	IfMatch    string `header:"If-Match"`
	Body       Contact
}

type deactivateInput struct {
	CustomerID string `path:"customerId"`
	IfMatch    string `header:"If-Match"`
	Body       struct {
		Reason string `json:"reason" minLength:"1" maxLength:"500" pattern:"^\\P{Cc}*[^\\p{Z}\\p{C}]\\P{Cc}*$" patternDescription:"printable text that is not blank"`
	}
}

type forgetInput struct {
	CustomerID string `path:"customerId"`
	IfMatch    string `header:"If-Match"`
}
