package products

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var noon = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

func euro(amount int64) Money { return Money{Amount: amount, Currency: "EUR"} }

func TestAProductKeepsItsSKUAndItsCurrency(t *testing.T) {
	mug, err := unlisted("mug").List("Mug", euro(1250), noon)
	if err != nil || mug.Version != 0 {
		t.Fatalf("got %+v, %v", mug, err)
	}
	reprice := func(price Money) func(Product) (Product, error) {
		return func(p Product) (Product, error) { return p.Reprice(price, noon.Add(time.Hour)) }
	}
	dearer := mug
	dearer.Price, dearer.Version, dearer.ChangedAt = euro(1300), 1, noon.Add(time.Hour)
	for name, c := range map[string]struct {
		given Product
		when  func(Product) (Product, error)
		want  Product
		err   error
	}{
		"another price":           {mug, reprice(euro(1300)), dearer, nil},
		"the same price":          {mug, reprice(euro(1250)), mug, nil},
		"the price in dollars":    {mug, reprice(Money{1250, "USD"}), mug, ErrCurrencyDiffers},
		"the price of nothing":    {unlisted("mug"), reprice(euro(1)), unlisted("mug"), ErrUnknown},
		"listing the same one":    {mug, func(p Product) (Product, error) { return p.List("Mug", euro(1250), noon) }, mug, ErrDuplicateSKU},
		"listing it in disguise":  {dearer, func(p Product) (Product, error) { return p.List("Cup", euro(1), noon) }, dearer, ErrDuplicateSKU},
		"a price back as it was":  {dearer, reprice(euro(1300)), dearer, nil},
		"free of charge is legal": {mug, reprice(euro(0)), Product{"mug", 1, "Mug", euro(0), noon, noon.Add(time.Hour)}, nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.when(c.given)
			if diff := cmp.Diff(c.want, got); diff != "" || !errors.Is(err, c.err) {
				t.Errorf("got %v, want %v (-want +got):\n%s", err, c.err, diff)
			}
		})
	}
}
