package figures

import "math/bits"

// Durations are counted in classes that grow with them: one millisecond each
// below 128 ms, and from there 64 to each doubling, so a class is never wider
// than a 64th of what is in it.
const (
	fine      = 128
	perDouble = 64
)

// classOf returns the class of a duration in microseconds. Negative ones, of
// clocks that disagree, count as none.
func classOf(micros int64) int64 {
	millis := max(micros, 0) / 1000
	if millis < fine {
		return millis
	}
	shift := int64(bits.Len64(uint64(millis))) - 7 // leaves 64 to 127
	return fine + (shift-1)*perDouble + millis>>shift - perDouble
}

// boundsOf returns the first millisecond in a class and the first above it.
func boundsOf(class int64) (from, to int64) {
	if class < fine {
		return class, class + 1
	}
	shift := (class-fine)/perDouble + 1
	from = (perDouble + (class-fine)%perDouble) << shift
	return from, from + 1<<shift
}
