// Package announce turns the committed events of customers into the integration
// events other services read. Those that need a customer's name or address keep
// their own copy of it, so here the data is in the clear. What is announced, or
// announced again, after the customer was forgotten says so where the data was.
package announce

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
	"orderflow/pkg/eventbus"
	"orderflow/services/customer/internal/domain"
	"orderflow/services/customer/internal/stored"
)

// The integration events of this service.
const (
	CreatedV1        = "customer.events.created.v1"
	ContactChangedV1 = "customer.events.contact_changed.v1"
	AddressChangedV1 = "customer.events.address_changed.v1"
	DeactivatedV1    = "customer.events.deactivated.v1"
	ForgottenV1      = "customer.events.forgotten.v1"
)

type address struct {
	Line1    string `json:"line1"`
	Line2    string `json:"line2,omitempty"`
	City     string `json:"city"`
	Postcode string `json:"postcode"`
	Country  string `json:"country"`
}

type created struct {
	CustomerID string    `json:"customerId"`
	Name       string    `json:"name"`
	Email      string    `json:"email"`
	Address    address   `json:"address"`
	OccurredAt time.Time `json:"occurredAt"`
}

type contactChanged struct {
	CustomerID string    `json:"customerId"`
	Name       string    `json:"name"`
	Email      string    `json:"email"`
	OccurredAt time.Time `json:"occurredAt"`
}

type addressChanged struct {
	CustomerID string    `json:"customerId"`
	Address    address   `json:"address"`
	OccurredAt time.Time `json:"occurredAt"`
}

type deactivated struct {
	CustomerID string    `json:"customerId"`
	Reason     string    `json:"reason"`
	OccurredAt time.Time `json:"occurredAt"`
}

type forgotten struct {
	CustomerID string    `json:"customerId"`
	OccurredAt time.Time `json:"occurredAt"`
}

// Translator opens what is sealed and announces it.
type Translator struct{ Codec stored.Codec }

// Translate is the relay's function.
func (t Translator) Translate(ctx context.Context, r es.Recorded) ([]eventbus.Event, error) {
	events, err := t.Codec.Decode(ctx, r)
	if err != nil {
		return nil, err
	}
	var announced []eventbus.Event
	for _, event := range events {
		announcement, err := announce(r, event)
		if err != nil {
			return nil, err
		}
		announced = append(announced, announcement)
	}
	return announced, nil
}

func announce(r es.Recorded, event domain.Event) (eventbus.Event, error) {
	id := r.AggregateID().String()
	switch e := event.(type) {
	case domain.Registered:
		return announcement(r, CreatedV1, e.At, created{id, e.Contact.Name, e.Contact.Email, address(e.Address), e.At})
	case domain.ContactChanged:
		return announcement(r, ContactChangedV1, e.At, contactChanged{id, e.Contact.Name, e.Contact.Email, e.At})
	case domain.AddressChanged:
		return announcement(r, AddressChangedV1, e.At, addressChanged{id, address(e.Address), e.At})
	case domain.Deactivated:
		return announcement(r, DeactivatedV1, e.At, deactivated{id, e.Reason, e.At})
	case domain.Forgotten:
		return announcement(r, ForgottenV1, e.At, forgotten{id, e.At})
	default:
		return eventbus.Event{}, fmt.Errorf("no announcement of %T", event)
	}
}

func announcement(r es.Recorded, typ string, at time.Time, data any) (eventbus.Event, error) {
	text, err := json.Marshal(data)
	return eventbus.Event{
		ID:              cause.IntegrationID(r.ID, typ).String(),
		Source:          "/orderflow/customer",
		Type:            typ,
		Subject:         r.AggregateID().String(),
		Time:            at,
		DataContentType: "application/json",
		Data:            text,
		CorrelationID:   r.Metadata.CorrelationID,
		CausationID:     r.ID.String(),
		TraceParent:     r.Metadata.TraceParent,
		Sequence:        int64(r.Revision),
	}, err
}
