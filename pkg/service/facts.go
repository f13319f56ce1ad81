package service

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"orderflow/pkg/sqldb"
)

// Facts collects the facts of a ledger's row.
type Facts map[string]string

// Text adds a fact, unless it is empty.
func (f Facts) Text(name, value string) Facts {
	if value != "" {
		f[name] = value
	}
	return f
}

// At adds the time of a fact in microseconds, unless it is 0: never.
func (f Facts) At(name string, micros int64) Facts {
	if micros != 0 {
		f[name] = sqldb.Time(micros).Format("2006-01-02T15:04:05.000000Z")
	}
	return f
}

// PersonalFact says how much personal data a service holds of a customer, never
// which: "whole" when all that it should have is there, "part" when some of it
// is, and nothing when none is.
func PersonalFact(some, all bool) string {
	switch {
	case all:
		return "whole"
	case some:
		return "part"
	default:
		return ""
	}
}

// MoneyFact is an amount in minor units as facts show it, as in "990 EUR".
func MoneyFact(amount int64, currency string) string {
	return strings.TrimSpace(strconv.FormatInt(amount, 10) + " " + currency)
}

// LinesFact is what was ordered as facts show it, by sku, as in "2 mug, 1 tea".
func LinesFact(quantities map[string]int64) string {
	lines := make([]string, 0, len(quantities))
	for sku, quantity := range quantities {
		lines = append(lines, fmt.Sprintf("%d %s", quantity, sku))
	}
	slices.SortFunc(lines, func(a, b string) int { return strings.Compare(skuOf(a), skuOf(b)) })
	return strings.Join(lines, ", ")
}

func skuOf(line string) string {
	_, sku, _ := strings.Cut(line, " ")
	return sku
}
