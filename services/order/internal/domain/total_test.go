package domain_test

import (
	"errors"
	"math"
	"math/big"
	"strconv"
	"testing"

	"pgregory.net/rapid"

	"orderflow/services/order/internal/domain"
)

func priced(sku string, quantity, amount int64, currency string) domain.Line {
	return domain.Line{SKU: sku, Name: sku, Quantity: quantity, UnitPrice: domain.Money{Amount: amount, Currency: currency}}
}

// The error names the line that breaks the rule, the first one that does.
func TestALineThatBreaksARuleIsNamed(t *testing.T) {
	for name, test := range map[string]struct {
		lines []domain.Line
		line  int
		rule  error
	}{
		"none wanted":         {[]domain.Line{priced("a", 1, 1, "EUR"), priced("b", 0, 1, "EUR")}, 1, domain.ErrQuantity},
		"less than none":      {[]domain.Line{priced("a", -1, 1, "EUR")}, 0, domain.ErrQuantity},
		"same sku":            {[]domain.Line{priced("a", 1, 1, "EUR"), priced("b", 1, 1, "EUR"), priced("a", 1, 1, "EUR")}, 2, domain.ErrSameSKU},
		"mixed currencies":    {[]domain.Line{priced("a", 1, 1, "EUR"), priced("b", 1, 1, "USD")}, 1, domain.ErrMixedCurrencies},
		"product too large":   {[]domain.Line{priced("a", 2, domain.MaxAmount, "EUR")}, 0, domain.ErrTotalTooLarge},
		"product overflows":   {[]domain.Line{priced("a", math.MaxInt64, math.MaxInt64, "EUR")}, 0, domain.ErrTotalTooLarge},
		"wraps around to 0":   {[]domain.Line{priced("a", 1<<32, 1<<32, "EUR")}, 0, domain.ErrTotalTooLarge},
		"sum too large":       {[]domain.Line{priced("a", 1, domain.MaxAmount, "EUR"), priced("b", 1, 1, "EUR")}, 1, domain.ErrTotalTooLarge},
		"the first one tells": {[]domain.Line{priced("a", 1, 1, "EUR"), priced("a", 1, 1, "USD"), priced("c", 0, 1, "EUR")}, 1, domain.ErrSameSKU},
	} {
		t.Run(name, func(t *testing.T) {
			events, err := domain.Order{}.Place(customer, test.lines, at(0))
			var atLine domain.LineError
			if !errors.As(err, &atLine) || atLine.Line != test.line || !errors.Is(err, test.rule) {
				t.Errorf("got %v, want line %d: %v", err, test.line, test.rule)
			}
			if events != nil {
				t.Errorf("events %v", events)
			}
		})
	}
}

func TestATotalCanBeAsLargeAsANumberInJSON(t *testing.T) {
	events, err := domain.Order{}.Place(customer, []domain.Line{priced("a", 1, domain.MaxAmount-1, "EUR"), priced("b", 1, 1, "EUR")}, at(0))
	if err != nil {
		t.Fatal(err)
	}
	if total := given(events...).Total; total != eur(domain.MaxAmount) {
		t.Errorf("total %v", total)
	}
}

// TestTheTotalIsTheSumOfTheLines compares with numbers that know no limit.
func TestTheTotalIsTheSumOfTheLines(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		amounts := rapid.OneOf(rapid.Int64Range(0, 10_000), rapid.Int64Range(0, domain.MaxAmount))
		quantities := rapid.OneOf(rapid.Int64Range(1, 100), rapid.Int64Range(1, math.MaxInt64))
		lines := make([]domain.Line, rapid.IntRange(1, 8).Draw(r, "lines"))
		sum := new(big.Int)
		for i := range lines {
			lines[i] = priced(strconv.Itoa(i), quantities.Draw(r, "quantity"), amounts.Draw(r, "amount"), "EUR")
			sum.Add(sum, new(big.Int).Mul(big.NewInt(lines[i].Quantity), big.NewInt(lines[i].UnitPrice.Amount)))
		}
		events, err := domain.Order{}.Place(customer, lines, at(0))
		if sum.Cmp(big.NewInt(domain.MaxAmount)) > 0 {
			if !errors.Is(err, domain.ErrTotalTooLarge) {
				r.Fatalf("a total of %s is answered with %v", sum, err)
			}
			return
		}
		if err != nil {
			r.Fatal(err)
		}
		if total := given(events...).Total; total.Currency != "EUR" || sum.Cmp(big.NewInt(total.Amount)) != 0 {
			r.Fatalf("total %v, want %s", total, sum)
		}
	})
}
