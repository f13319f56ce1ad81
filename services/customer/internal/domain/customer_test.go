package domain_test

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orderflow/services/customer/internal/domain"
)

// at is the nth minute of the story.
func at(n int) time.Time { return time.Date(2026, 3, 14, 15, n, 0, 0, time.UTC) }

var (
	ann      = domain.Contact{Name: "Ann Doe", Email: "ann@example.com"}
	anna     = domain.Contact{Name: "Anna Doe", Email: "anna@example.com"}
	delft    = domain.Address{Line1: "Markt 1", City: "Delft", Postcode: "2611 GP", Country: "NL"}
	utrecht  = domain.Address{Line1: "Oudegracht 2", Line2: "3rd floor", City: "Utrecht", Postcode: "3511 AB", Country: "NL"}
	register = domain.Registered{Contact: ann, Address: delft, At: at(0)}
	leave    = domain.Deactivated{Reason: "moved away", At: at(9)}
)

// given is the customer after a history.
func given(history ...domain.Event) domain.Customer {
	var c domain.Customer
	for _, event := range history {
		c = domain.Apply(c, event)
	}
	return c
}

func TestADecisionDependsOnWhatHappenedBefore(t *testing.T) {
	nothing, active := given(), given(register)
	deactivated, forgotten := given(register, leave), given(register, domain.Forgotten{At: at(5)})
	var none []domain.Event
	for name, test := range map[string]struct {
		given  domain.Customer
		decide func(domain.Customer) ([]domain.Event, error)
		then   []domain.Event
		err    error
	}{
		"nobody/register": {
			nothing, func(c domain.Customer) ([]domain.Event, error) { return c.Register(ann, delft, at(0)) },
			[]domain.Event{register},
			nil,
		},
		"active/register": {
			active, func(c domain.Customer) ([]domain.Event, error) { return c.Register(ann, delft, at(0)) },
			none, domain.ErrAlreadyRegistered,
		},
		"deactivated/register": {
			deactivated, func(c domain.Customer) ([]domain.Event, error) { return c.Register(ann, delft, at(0)) },
			none, domain.ErrAlreadyRegistered,
		},

		"nobody/change contact": {
			nothing, func(c domain.Customer) ([]domain.Event, error) { return c.ChangeContact(anna, at(1)) },
			none, domain.ErrNotRegistered,
		},
		"active/change contact": {
			active, func(c domain.Customer) ([]domain.Event, error) { return c.ChangeContact(anna, at(1)) },
			[]domain.Event{domain.ContactChanged{Contact: anna, At: at(1)}},
			nil,
		},
		"active/same contact": {
			active, func(c domain.Customer) ([]domain.Event, error) { return c.ChangeContact(ann, at(1)) },
			none, nil,
		},
		"deactivated/change contact": {
			deactivated, func(c domain.Customer) ([]domain.Event, error) { return c.ChangeContact(anna, at(1)) },
			none, domain.ErrDeactivated,
		},

		"nobody/change address": {
			nothing, func(c domain.Customer) ([]domain.Event, error) { return c.ChangeAddress(utrecht, at(1)) },
			none, domain.ErrNotRegistered,
		},
		"active/change address": {
			active, func(c domain.Customer) ([]domain.Event, error) { return c.ChangeAddress(utrecht, at(1)) },
			[]domain.Event{domain.AddressChanged{Address: utrecht, At: at(1)}},
			nil,
		},
		"active/same address": {
			active, func(c domain.Customer) ([]domain.Event, error) { return c.ChangeAddress(delft, at(1)) },
			none, nil,
		},
		"deactivated/change address": {
			deactivated, func(c domain.Customer) ([]domain.Event, error) { return c.ChangeAddress(utrecht, at(1)) },
			none, domain.ErrDeactivated,
		},

		"nobody/deactivate": {
			nothing, func(c domain.Customer) ([]domain.Event, error) { return c.Deactivate("moved away", at(9)) },
			none, domain.ErrNotRegistered,
		},
		"active/deactivate": {
			active, func(c domain.Customer) ([]domain.Event, error) { return c.Deactivate("moved away", at(9)) },
			[]domain.Event{leave},
			nil,
		},
		"deactivated/deactivate": {
			deactivated, func(c domain.Customer) ([]domain.Event, error) { return c.Deactivate("other", at(10)) },
			none, nil,
		},

		"nobody/forget": {
			nothing, func(c domain.Customer) ([]domain.Event, error) { return c.Forget(at(10)) },
			none, domain.ErrNotRegistered,
		},
		"active/forget": {
			active, func(c domain.Customer) ([]domain.Event, error) { return c.Forget(at(10)) },
			[]domain.Event{domain.Forgotten{At: at(10)}},
			nil,
		},
		"deactivated/forget": {
			deactivated, func(c domain.Customer) ([]domain.Event, error) { return c.Forget(at(10)) },
			[]domain.Event{domain.Forgotten{At: at(10)}},
			nil,
		},
		"forgotten/forget": {
			forgotten, func(c domain.Customer) ([]domain.Event, error) { return c.Forget(at(10)) },
			none, nil,
		},
		"forgotten/register": {
			forgotten, func(c domain.Customer) ([]domain.Event, error) { return c.Register(ann, delft, at(10)) },
			none, domain.ErrAlreadyRegistered,
		},
		"forgotten/change contact": {
			forgotten, func(c domain.Customer) ([]domain.Event, error) { return c.ChangeContact(ann, at(10)) },
			none, domain.ErrForgotten,
		},
		"forgotten/change address": {
			forgotten, func(c domain.Customer) ([]domain.Event, error) { return c.ChangeAddress(delft, at(10)) },
			none, domain.ErrForgotten,
		},
		"forgotten/deactivate": {
			forgotten, func(c domain.Customer) ([]domain.Event, error) { return c.Deactivate("moved away", at(10)) },
			none, domain.ErrForgotten,
		},
	} {
		t.Run(name, func(t *testing.T) {
			events, err := test.decide(test.given)
			if !errors.Is(err, test.err) || (err == nil) != (test.err == nil) {
				t.Errorf("error %v, want %v", err, test.err)
			}
			if diff := cmp.Diff(test.then, events); diff != "" {
				t.Errorf("events: %s", diff)
			}
		})
	}
}

func TestAnEventChangesWhatItTellsAndNothingElse(t *testing.T) {
	active := domain.Customer{Status: domain.StatusActive, Contact: ann, Address: delft}
	gone := active
	gone.Status = domain.StatusDeactivated
	for name, test := range map[string]struct {
		before domain.Customer
		event  domain.Event
		change func(*domain.Customer)
	}{
		"registered": {domain.Customer{}, register, func(c *domain.Customer) { *c = active }},
		"forgotten": {active, domain.Forgotten{At: at(5)}, func(c *domain.Customer) {
			*c = domain.Customer{Status: domain.StatusForgotten, Contact: domain.Contact{Name: "forgotten"}}
		}},
		"contact":                           {active, domain.ContactChanged{Contact: anna, At: at(1)}, func(c *domain.Customer) { c.Contact = anna }},
		"address":                           {active, domain.AddressChanged{Address: utrecht, At: at(1)}, func(c *domain.Customer) { c.Address = utrecht }},
		"deactivated":                       {active, leave, func(c *domain.Customer) { *c = gone }},
		"contact of one who left stays so":  {gone, domain.ContactChanged{Contact: anna, At: at(1)}, func(c *domain.Customer) { c.Contact = anna }},
		"address of one who left stays so":  {gone, domain.AddressChanged{Address: utrecht, At: at(1)}, func(c *domain.Customer) { c.Address = utrecht }},
		"deactivated twice is deactivation": {gone, leave, func(*domain.Customer) {}},
	} {
		t.Run(name, func(t *testing.T) {
			want := test.before
			test.change(&want)
			if diff := cmp.Diff(want, domain.Apply(test.before, test.event)); diff != "" {
				t.Error(diff)
			}
		})
	}
}
