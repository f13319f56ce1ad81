package letters

import (
	"fmt"
	"strings"
	"time"
)

// Text is the body of a letter: plain text, lines ended by "\n".
func Text(kind Kind, f Facts) string {
	var b strings.Builder
	fmt.Fprintf(&b, "Hello %s,\n\n", f.CustomerName)
	switch kind {
	case Confirmation:
		confirmation(&b, f)
	case Packed:
		packed(&b, f)
	case Dispatched:
		dispatched(&b, f)
	case Cancelled:
		cancelled(&b, f)
	case PackingDelayed:
		delayed(&b, f, "packed")
	case DispatchDelayed:
		delayed(&b, f, "handed to the carrier")
	}
	fmt.Fprintf(&b, "\nYour order: %s\n\norderflow\n", f.OrderID)
	return b.String()
}

func confirmation(b *strings.Builder, f Facts) {
	fmt.Fprintf(b, "thank you for your order of %s. We have received it:\n\n", day(f.PlacedAt))
	for _, line := range f.Lines {
		fmt.Fprintf(b, "  %d x %s, %s each\n", line.Quantity, line.Name, line.UnitPrice)
	}
	fmt.Fprintf(b, "\n  Total: %s\n\n", f.Total)
	switch {
	case !f.DispatchedAt.IsZero():
		b.WriteString("It is on its way by now; we write about that as well.\n")
	case !f.CancelledAt.IsZero():
		b.WriteString("It is cancelled by now; we write about that as well.\n")
	case !f.PackedAt.IsZero():
		b.WriteString("It is packed by now. We write again when it is on its way.\n")
	default:
		b.WriteString("We write again when it is packed, and when it is on its way.\n")
	}
}

func packed(b *strings.Builder, f Facts) {
	switch {
	case !f.DispatchedAt.IsZero():
		b.WriteString("your order was packed, and is on its way by now; we write about that as well.\n")
	case !f.CancelledAt.IsZero():
		b.WriteString("your order was packed, and cancelled at about the same time. The parcel stays with us.\n")
	default:
		b.WriteString("your order is packed and waits for the carrier.\n")
	}
}

func dispatched(b *strings.Builder, f Facts) {
	if f.CancelledAt.IsZero() {
		b.WriteString("your order is on its way.\n\n")
	} else {
		b.WriteString("your order was to be cancelled, but the parcel had already left us when we heard of that.\n" +
			"It is on its way to you; if we wrote that it was cancelled, please excuse the confusion.\n\n")
	}
	shipment(b, f)
}

func cancelled(b *strings.Builder, f Facts) {
	if !f.DispatchedAt.IsZero() {
		b.WriteString("your order was to be cancelled, but the parcel had already left us. It has not been cancelled\n" +
			"and is on its way to you.\n\n")
		shipment(b, f)
		return
	}
	switch f.CancelledBy {
	case "customer":
		b.WriteString("as you asked, your order is cancelled.\n")
	case "packing":
		b.WriteString("we are sorry: we had to cancel your order, because we could not pack it.\n")
		if f.CancelReason != "" {
			fmt.Fprintf(b, "\nThe reason: %s\n", f.CancelReason)
		}
	case "deadline":
		b.WriteString("we are sorry: we had to cancel your order, because we did not get it ready in time.\n")
	default:
		b.WriteString("your order is cancelled.\n")
	}
}

// delayed apologises, and says how it went on if it has.
func delayed(b *strings.Builder, f Facts, what string) {
	fmt.Fprintf(b, "we are sorry: your order was not %s as soon as we had promised.\n\n", what)
	switch {
	case !f.DispatchedAt.IsZero():
		b.WriteString("It is on its way to you by now.\n\n")
		shipment(b, f)
	case !f.CancelledAt.IsZero():
		b.WriteString("It is cancelled by now; we write about that as well.\n")
	case !f.PackedAt.IsZero() && f.DispatchDelayedAt.IsZero():
		b.WriteString("It is packed by now and waits for the carrier.\n")
	default:
		b.WriteString("We are at it, and write again when it goes on.\n")
	}
}

func shipment(b *strings.Builder, f Facts) {
	fmt.Fprintf(b, "  Carrier: %s\n  Tracking number: %s\n", f.Carrier, f.TrackingNumber)
}

func day(t time.Time) string { return t.UTC().Format("2 January 2006") }

// String writes the amount with the decimals its currency has, as in 12.50 EUR.
func (m Money) String() string {
	amount, sign := m.Amount, ""
	if amount < 0 {
		amount, sign = -amount, "-"
	}
	decimals, unit := decimalsOf(m.Currency), int64(1)
	if decimals == 0 {
		return fmt.Sprintf("%s%d %s", sign, amount, m.Currency)
	}
	for range decimals {
		unit *= 10
	}
	return fmt.Sprintf("%s%d.%0*d %s", sign, amount/unit, decimals, amount%unit, m.Currency)
}

// decimalsOf is the minor unit of ISO 4217, table A.1; 2 where it says nothing else.
func decimalsOf(currency string) int {
	switch currency {
	case "BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "UYI", "VND", "VUV", "XAF", "XOF", "XPF":
		return 0
	case "BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND":
		return 3
	case "CLF", "UYW":
		return 4
	default:
		return 2
	}
}
