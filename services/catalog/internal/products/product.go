package products

import (
	"errors"
	"regexp"
	"time"
)

// Why a product cannot be listed or priced.
var (
	// ErrUnknown says that no product has this SKU.
	ErrUnknown = errors.New("no product with this sku")
	// ErrDuplicateSKU says that a product with this SKU is listed already.
	ErrDuplicateSKU = errors.New("a product with this sku is listed already")
	// ErrCurrencyDiffers says that the new price is in another currency than the
	// product's.
	ErrCurrencyDiffers = errors.New("a product keeps its currency")
)

// skuForm is what a SKU looks like. It fits into a path as it is, and into the
// subject of an event.
var skuForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$`)

// Money is an amount in minor units of a currency (ISO 4217).
type Money struct {
	Amount   int64  `json:"amount" minimum:"0" maximum:"9007199254740991" doc:"in minor units: 1250 EUR are 12.50 euro"`
	Currency string `json:"currency" pattern:"^[A-Z]{3}$" patternDescription:"a currency code of ISO 4217, as EUR"`
}

// Product is everything known about a product. It is a plain value: its methods
// return what it becomes and count Version up by one when that is another one.
type Product struct {
	SKU string
	// Version counts the prices, from 0; -1 is a product that is not listed.
	Version  int64
	Name     string
	Price    Money
	ListedAt time.Time
	// ChangedAt is when the price was set.
	ChangedAt time.Time
}

// unlisted is the product nobody has listed.
func unlisted(sku string) Product { return Product{SKU: sku, Version: -1} }

// List puts the product on the list, under a SKU that is not taken.
func (p Product) List(name string, price Money, at time.Time) (Product, error) {
	if p.Version >= 0 {
		return p, ErrDuplicateSKU
	}
	p.Name, p.Price, p.ListedAt, p.ChangedAt = name, price, at, at
	p.Version++
	return p, nil
}

// Reprice sets another price in the same currency. The price it has already
// changes nothing.
func (p Product) Reprice(price Money, at time.Time) (Product, error) {
	switch {
	case p.Version < 0:
		return p, ErrUnknown
	case p.Price.Currency != price.Currency:
		return p, ErrCurrencyDiffers
	case p.Price.Amount == price.Amount:
		return p, nil
	}
	p.Price, p.ChangedAt = price, at
	p.Version++
	return p, nil
}
