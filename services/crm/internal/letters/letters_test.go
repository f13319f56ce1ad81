package letters_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"orderflow/services/crm/internal/letters"
)

const orderID = "01928f40-0a1b-7c2d-8e3f-405162738495"

var (
	may1 = time.Date(2025, 5, 1, 10, 0, 0, 0, time.UTC)
	euro = func(amount int64) letters.Money { return letters.Money{Amount: amount, Currency: "EUR"} }
)

func ordered() letters.Facts {
	return letters.Facts{
		OrderID: orderID, CustomerName: "Zoë Müller", PlacedAt: may1, Total: euro(2150),
		Lines: []letters.Line{{Name: "Green tea, 100 g", Quantity: 2, UnitPrice: euro(450)}, {Name: "緑茶", Quantity: 1, UnitPrice: euro(1250)}},
	}
}

func TestConfirmationListsWhatWasOrdered(t *testing.T) {
	want := `Hello Zoë Müller,

thank you for your order of 1 May 2025. We have received it:

  2 x Green tea, 100 g, 4.50 EUR each
  1 x 緑茶, 12.50 EUR each

  Total: 21.50 EUR

We write again when it is packed, and when it is on its way.

Your order: ` + orderID + `

orderflow
`
	if diff := cmp.Diff(want, letters.Text(letters.Confirmation, ordered())); diff != "" {
		t.Error(diff)
	}
}

func TestLettersTellTheTruthAsItIsKnown(t *testing.T) {
	cancelledBy := func(by, reason string) func(*letters.Facts) {
		return func(f *letters.Facts) { f.CancelledAt, f.CancelledBy, f.CancelReason = may1, by, reason }
	}
	packed := func(f *letters.Facts) { f.PackedAt = may1 }
	dispatched := func(f *letters.Facts) { f.DispatchedAt, f.Carrier, f.TrackingNumber = may1, "DHL", "JD0146" }
	both := func(f *letters.Facts) { dispatched(f); cancelledBy("customer", "changed my mind")(f) }
	late := func(f *letters.Facts) { f.PackingDelayedAt = may1 }
	later := func(f *letters.Facts) { f.DispatchDelayedAt = may1 }
	for name, c := range map[string]struct {
		kind      letters.Kind
		facts     func(*letters.Facts)
		says      []string
		saysNever []string
	}{
		"packed":                           {letters.Packed, packed, []string{"is packed and waits"}, []string{"cancelled"}},
		"packed, and gone by now":          {letters.Packed, func(f *letters.Facts) { packed(f); dispatched(f) }, []string{"was packed", "on its way by now"}, []string{"waits for the carrier"}},
		"received":                         {letters.Confirmation, func(*letters.Facts) {}, []string{"again when it is packed, and when it is on its way"}, nil},
		"received, and packed by now":      {letters.Confirmation, packed, []string{"packed by now", "again when it is on its way"}, []string{"when it is packed"}},
		"received, and gone by now":        {letters.Confirmation, func(f *letters.Facts) { packed(f); both(f) }, []string{"on its way by now"}, []string{"again when", "cancelled"}},
		"received, and cancelled by now":   {letters.Confirmation, cancelledBy("packing", ""), []string{"cancelled by now"}, []string{"again when"}},
		"packed and cancelled":             {letters.Packed, func(f *letters.Facts) { packed(f); cancelledBy("customer", "")(f) }, []string{"The parcel stays with us"}, []string{"waits for the carrier"}},
		"packed, cancelled and dispatched": {letters.Packed, func(f *letters.Facts) { packed(f); both(f) }, []string{"was packed", "on its way by now"}, []string{"stays with us", "waits for the carrier"}},
		"dispatched":                       {letters.Dispatched, dispatched, []string{"is on its way.", "Carrier: DHL", "Tracking number: JD0146"}, []string{"cancelled"}},
		"dispatched although cancelled":    {letters.Dispatched, both, []string{"was to be cancelled, but the parcel had already left", "JD0146"}, nil},
		"cancelled although dispatched":    {letters.Cancelled, both, []string{"has not been cancelled", "on its way to you", "JD0146"}, []string{"as you asked, your order is cancelled"}},
		"cancelled by the customer":        {letters.Cancelled, cancelledBy("customer", "twice"), []string{"as you asked"}, []string{"sorry"}},
		"cancelled by packing":             {letters.Cancelled, cancelledBy("packing", "Tasse zerbrochen"), []string{"we are sorry", "The reason: Tasse zerbrochen"}, []string{"as you asked"}},
		"cancelled by a deadline":          {letters.Cancelled, cancelledBy("deadline", "not packed in time"), []string{"we are sorry", "in time"}, []string{"as you asked"}},
		"late in packing":                  {letters.PackingDelayed, late, []string{"we are sorry", "was not packed as soon", "write again"}, []string{"by now"}},
		"late in packing, packed by now":   {letters.PackingDelayed, func(f *letters.Facts) { late(f); packed(f) }, []string{"packed by now"}, []string{"We are at it"}},
		"late in packing, and then again":  {letters.PackingDelayed, func(f *letters.Facts) { late(f); packed(f); later(f) }, []string{"We are at it"}, []string{"waits for the carrier"}},
		"late in dispatch":                 {letters.DispatchDelayed, func(f *letters.Facts) { packed(f); later(f) }, []string{"we are sorry", "handed to the carrier"}, []string{"by now", "We are at it, and write again when it is packed"}},
		"late, and gone by now":            {letters.DispatchDelayed, func(f *letters.Facts) { later(f); both(f) }, []string{"on its way to you by now", "JD0146"}, []string{"cancelled"}},
		"late, and cancelled by now":       {letters.PackingDelayed, func(f *letters.Facts) { late(f); cancelledBy("deadline", "")(f) }, []string{"cancelled by now"}, []string{"We are at it"}},
		"cancelled by somebody new":        {letters.Cancelled, cancelledBy("the weather", ""), []string{"your order is cancelled"}, []string{"as you asked", "sorry"}},
	} {
		t.Run(name, func(t *testing.T) {
			facts := ordered()
			c.facts(&facts)
			text := letters.Text(c.kind, facts)
			for _, part := range append(c.says, "Hello Zoë Müller", orderID) {
				if !strings.Contains(text, part) {
					t.Errorf("does not say %q:\n%s", part, text)
				}
			}
			for _, part := range c.saysNever {
				if strings.Contains(text, part) {
					t.Errorf("says %q:\n%s", part, text)
				}
			}
		})
	}
}

func TestSubjectsNameTheOrderAndDiffer(t *testing.T) {
	seen := map[string]letters.Kind{}
	for _, kind := range []letters.Kind{letters.Confirmation, letters.Packed, letters.Dispatched, letters.Cancelled, letters.PackingDelayed, letters.DispatchDelayed} {
		subject := letters.Subject(kind, orderID)
		if !strings.Contains(subject, orderID) {
			t.Errorf("%s: %q does not name the order", kind, subject)
		}
		if other, taken := seen[subject]; taken {
			t.Errorf("%s and %s have the same subject", kind, other)
		}
		seen[subject] = kind
	}
}

func TestMoneyHasTheDecimalsOfItsCurrency(t *testing.T) {
	for want, money := range map[string]letters.Money{
		"0.00 EUR":      euro(0),
		"0.05 EUR":      euro(5),
		"12.50 EUR":     euro(1250),
		"-0.05 EUR":     euro(-5),
		"1250 JPY":      {Amount: 1250, Currency: "JPY"},
		"1.250 KWD":     {Amount: 1250, Currency: "KWD"},
		"0.1250 CLF":    {Amount: 1250, Currency: "CLF"},
		"1234567.89 XX": {Amount: 123456789, Currency: "XX"},
	} {
		if got := money.String(); got != want {
			t.Errorf("%+v is written %q, want %q", money, got, want)
		}
	}
}
