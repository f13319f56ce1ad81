package domain

import "math/bits"

// MaxAmount is the largest total of an order. It is exact in JSON readers that
// know only floating point (RFC 8259, section 6), and millions of such orders
// still add up to a number of 64 bits: no order, however odd, can break the sums
// of those who count.
const MaxAmount = 1_000_000_000_000

// Money is an amount in the smallest unit of an ISO 4217 currency.
type Money struct {
	Amount   int64
	Currency string
}

// times returns quantity times m, and whether that is at most [MaxAmount].
func (m Money) times(quantity int64) (Money, bool) {
	high, low := bits.Mul64(uint64(m.Amount), uint64(quantity)) //nolint:gosec // neither is negative
	if high != 0 || low > MaxAmount {
		return Money{}, false
	}
	return Money{Amount: int64(low), Currency: m.Currency}, true
}

// plus returns the sum, and whether it is at most [MaxAmount].
func (m Money) plus(other Money) (Money, bool) {
	sum := m.Amount + other.Amount // cannot overflow: both are far below 2^62
	return Money{Amount: sum, Currency: m.Currency}, sum <= MaxAmount
}
