package stored

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"

	"orderflow/pkg/es"
	"orderflow/services/customer/internal/domain"
	"orderflow/services/customer/internal/vault"
)

// The names of the stored events.
const (
	Registered     = "customer-registered"
	ContactChanged = "customer-contact-changed"
	AddressChanged = "customer-address-changed"
	Deactivated    = "customer-deactivated"
	Forgotten      = "customer-forgotten"
)

// schemas is every version that was ever written. The seal is outside of them:
// an upcaster gets the data opened, and what it returns is never stored.
var schemas = [...]es.Schema{{Type: Registered}, {Type: ContactChanged}, {Type: AddressChanged}, {Type: Deactivated}, {Type: Forgotten}}

// Schemas is every version that was ever written, for a test to hold against
// the goldens.
func Schemas() es.Schemas { return schemas[:] }

// Sealer encrypts and decrypts for one customer at a time; see package vault,
// whose ErrForgotten it returns for a customer whose key was destroyed.
type Sealer interface {
	Seal(ctx context.Context, customer uuid.UUID, place string, text []byte) (string, error)
	Open(ctx context.Context, customer uuid.UUID, place, sealed string) ([]byte, error)
}

type contactV1 struct {
	Name  string `json:"name"`
	Email string `json:"email"`
}

type addressV1 struct {
	Line1    string `json:"line1"`
	Line2    string `json:"line2,omitempty"`
	City     string `json:"city"`
	Postcode string `json:"postcode"`
	Country  string `json:"country"`
}

// personalV1 is what is sealed: the fields that the event has.
type personalV1 struct {
	Contact *contactV1 `json:"contact,omitempty"`
	Address *addressV1 `json:"address,omitempty"`
	Reason  string     `json:"reason,omitempty"`
}

// eventV1 is what is stored. A reason is free text, and may name somebody: it is
// sealed too.
type eventV1 struct {
	At       time.Time `json:"at"`
	Personal string    `json:"personal"` // base64 of nonce and AES-256-GCM ciphertext
}

// forgottenV1 is the one event that has nothing to seal.
type forgottenV1 struct {
	At time.Time `json:"at"`
}

// erased is what stands in the place of what was sealed with a key that was
// destroyed: every field that an event may have. Country and the domain of the
// email are reserved for what does not exist (ISO 3166-1, RFC 2606).
func erased() ([]byte, error) {
	return json.Marshal(personalV1{
		Contact: &contactV1{Name: domain.Erased, Email: "forgotten@customer.invalid"},
		Address: &addressV1{Line1: domain.Erased, City: domain.Erased, Postcode: domain.Erased, Country: "ZZ"},
		Reason:  domain.Erased,
	})
}

// Codec writes and reads the events of customers.
type Codec struct{ Sealer Sealer }

// Encode seals and writes an event in the newest version of its schema.
func (c Codec) Encode(ctx context.Context, customer uuid.UUID, event domain.Event) (es.Encoded, error) {
	switch e := event.(type) {
	case domain.Registered:
		contact, address := contactV1(e.Contact), addressV1(e.Address)
		return c.seal(ctx, customer, Registered, e.At, personalV1{Contact: &contact, Address: &address})
	case domain.ContactChanged:
		contact := contactV1(e.Contact)
		return c.seal(ctx, customer, ContactChanged, e.At, personalV1{Contact: &contact})
	case domain.AddressChanged:
		address := addressV1(e.Address)
		return c.seal(ctx, customer, AddressChanged, e.At, personalV1{Address: &address})
	case domain.Deactivated:
		return c.seal(ctx, customer, Deactivated, e.At, personalV1{Reason: e.Reason})
	case domain.Forgotten:
		data, err := json.Marshal(forgottenV1(e))
		return es.Encoded{Type: Forgotten, Version: 1, Data: data}, err
	default:
		return es.Encoded{}, fmt.Errorf("no stored form of %T", event)
	}
}

// Forgetting returns the codec for the one decision that asks nobody who they
// are: what can never be opened, since its key is lost or it is damaged, reads as
// of one who is forgotten. So they can be, and others erase what they know. Keys
// that cannot be read at the moment are an error as ever.
func (c Codec) Forgetting() Codec { return Codec{Sealer: resigned{c.Sealer}} }

type resigned struct{ Sealer }

func (r resigned) Open(ctx context.Context, customer uuid.UUID, place, sealed string) ([]byte, error) {
	text, err := r.Sealer.Open(ctx, customer, place, sealed)
	if errors.Is(err, vault.ErrNoKey) || errors.Is(err, vault.ErrDamaged) {
		err = fmt.Errorf("%w: %w", vault.ErrForgotten, err)
	}
	return text, err
}

func (c Codec) seal(ctx context.Context, customer uuid.UUID, typ string, at time.Time, personal personalV1) (es.Encoded, error) {
	text, err := json.Marshal(personal)
	if err != nil {
		return es.Encoded{}, err
	}
	sealed, err := c.Sealer.Seal(ctx, customer, typ, text)
	if err != nil {
		return es.Encoded{}, err
	}
	data, err := json.Marshal(eventV1{At: at, Personal: sealed})
	return es.Encoded{Type: typ, Version: 1, Data: data}, err
}

// Decode opens and reads every version ever written. What was sealed for a
// customer who is forgotten by now reads as [domain.Erased] in every field.
func (c Codec) Decode(ctx context.Context, r es.Recorded) ([]domain.Event, error) {
	if err := Schemas().Check(r); err != nil {
		return nil, err
	}
	opened, err := c.open(ctx, r)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", r.Type, err)
	}
	r.Data = opened
	current, err := Schemas().Upcast(r)
	if err != nil {
		return nil, err
	}
	events := make([]domain.Event, len(current))
	for i, c := range current {
		if events[i], err = decode(c); err != nil {
			return nil, fmt.Errorf("%s: %w", c.Type, err)
		}
	}
	return events, nil
}

// open returns the data of an event in the clear, which is what upcasters read:
// the same JSON with the object personal in the place of its sealed form.
func (c Codec) open(ctx context.Context, r es.Recorded) ([]byte, error) {
	if r.Type == Forgotten {
		return r.Data, nil
	}
	var event eventV1
	if err := json.Unmarshal(r.Data, &event); err != nil {
		return nil, err
	}
	personal, err := c.Sealer.Open(ctx, r.AggregateID(), r.Type, event.Personal)
	if errors.Is(err, vault.ErrForgotten) {
		personal, err = erased()
	}
	if err != nil {
		return nil, err
	}
	return json.Marshal(struct {
		At       time.Time       `json:"at"`
		Personal json.RawMessage `json:"personal"`
	}{event.At, personal})
}

// decode reads the newest version of an event, opened.
func decode(c es.Encoded) (domain.Event, error) {
	var event struct {
		At       time.Time  `json:"at"`
		Personal personalV1 `json:"personal"`
	}
	if err := json.Unmarshal(c.Data, &event); err != nil {
		return nil, err
	}
	at, personal := event.At, event.Personal
	if at.IsZero() {
		return nil, errors.New("its time is missing")
	}
	switch c.Type {
	case Registered:
		if personal.Contact == nil || personal.Address == nil {
			return nil, errors.New("contact or address missing")
		}
		return domain.Registered{Contact: domain.Contact(*personal.Contact), Address: domain.Address(*personal.Address), At: at}, nil
	case ContactChanged:
		if personal.Contact == nil {
			return nil, errors.New("contact missing")
		}
		return domain.ContactChanged{Contact: domain.Contact(*personal.Contact), At: at}, nil
	case AddressChanged:
		if personal.Address == nil {
			return nil, errors.New("address missing")
		}
		return domain.AddressChanged{Address: domain.Address(*personal.Address), At: at}, nil
	case Deactivated:
		return domain.Deactivated{Reason: personal.Reason, At: at}, nil
	case Forgotten:
		return domain.Forgotten{At: at}, nil
	default:
		return nil, errors.New("no event is stored as this")
	}
}
