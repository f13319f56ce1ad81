package stored_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
	"orderflow/pkg/esdbserver/esdbservertest"
	"orderflow/services/customer/internal/domain"
	"orderflow/services/customer/internal/stored"
)

// Whatever is decided about a customer, in any sequence: every decision is
// answered as the rules say, and the stream, replayed, gives the customer that
// the decisions left.
func TestDecisionsReplayedFromHistoryGiveTheSameCustomer(t *testing.T) {
	server := esdbservertest.New(t)
	client, err := es.Open(server.ConnectionString(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	customers := es.NewRepository(client, "customer", stored.Codec{Sealer: glass{}}, domain.Apply)
	at := time.Date(2026, 3, 14, 15, 9, 26, 535897932, time.UTC)

	rapid.Check(t, func(rt *rapid.T) {
		id, want, revision := cause.NewID(), domain.Customer{}, es.NoStream
		do := func(t *rapid.T, refused error, becomes domain.Customer, decide func(domain.Customer) ([]domain.Event, error)) {
			got, now, err := customers.Update(rt.Context(), id, cause.Cause{ID: cause.NewID()}, es.Precondition{}, decide)
			if refused != nil {
				becomes = want
			}
			if !errors.Is(err, refused) || refused == nil && err != nil {
				t.Fatalf("%v, want %v", err, refused)
			}
			if (now > revision) != (becomes != want) {
				t.Fatalf("from revision %d to %d, from %+v to %+v", revision, now, want, becomes)
			}
			want, revision = becomes, now
			if diff := cmp.Diff(want, got); diff != "" && err == nil {
				t.Fatalf("what the decision returns: %s", diff)
			}
		}
		// change is how a rule refuses to change somebody.
		change := func() error {
			switch want.Status {
			case domain.StatusUnknown:
				return domain.ErrNotRegistered
			case domain.StatusDeactivated:
				return domain.ErrDeactivated
			case domain.StatusForgotten:
				return domain.ErrForgotten
			case domain.StatusActive:
			}
			return nil
		}
		contacts := rapid.SampledFrom([]domain.Contact{{Name: "Ann", Email: "ann@example.org"}, {Name: "Zoë", Email: "zoe@example.org"}})
		addresses := rapid.SampledFrom([]domain.Address{{Line1: "Markt 1", City: "Delft"}, {Line1: "Oudegracht 2", Line2: "III", City: "Utrecht"}})
		rt.Repeat(map[string]func(*rapid.T){
			"register": func(t *rapid.T) {
				contact, address := contacts.Draw(t, "contact"), addresses.Draw(t, "address")
				var refused error
				if want.Status != domain.StatusUnknown {
					refused = domain.ErrAlreadyRegistered
				}
				do(t, refused, domain.Customer{Status: domain.StatusActive, Contact: contact, Address: address}, func(c domain.Customer) ([]domain.Event, error) {
					return c.Register(contact, address, at)
				})
			},
			"change contact": func(t *rapid.T) {
				becomes := want
				becomes.Contact = contacts.Draw(t, "contact")
				do(t, change(), becomes, func(c domain.Customer) ([]domain.Event, error) { return c.ChangeContact(becomes.Contact, at) })
			},
			"change address": func(t *rapid.T) {
				becomes := want
				becomes.Address = addresses.Draw(t, "address")
				do(t, change(), becomes, func(c domain.Customer) ([]domain.Event, error) { return c.ChangeAddress(becomes.Address, at) })
			},
			"deactivate": func(t *rapid.T) {
				refused := change()
				if errors.Is(refused, domain.ErrDeactivated) {
					refused = nil // twice is no error
				}
				becomes := want
				becomes.Status = domain.StatusDeactivated
				do(t, refused, becomes, func(c domain.Customer) ([]domain.Event, error) { return c.Deactivate("moved away", at) })
			},
			"forget": func(t *rapid.T) {
				var refused error
				if want.Status == domain.StatusUnknown {
					refused = domain.ErrNotRegistered
				}
				becomes := domain.Customer{Status: domain.StatusForgotten, Contact: domain.Contact{Name: domain.Erased}}
				do(t, refused, becomes, func(c domain.Customer) ([]domain.Event, error) { return c.Forget(at) })
			},
			"": func(t *rapid.T) {
				got, now, err := customers.Load(rt.Context(), id)
				if errors.Is(err, es.ErrNotFound) && want == (domain.Customer{}) {
					return
				}
				if diff := cmp.Diff(want, got); diff != "" || err != nil || now != revision {
					t.Fatalf("replayed, at revision %d, want %d, %v: %s", now, revision, err, diff)
				}
			},
		})
	})
}
