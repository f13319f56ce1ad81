package fulfilment

// HeardOf gives tests what an event of an order means to its process.
var HeardOf = heardOf

// Take gives tests the handling of one batch, and PassDeadlines that of the
// deadlines which have passed.
var (
	Take          = (*Manager).take
	PassDeadlines = (*Manager).passDeadlines
)
