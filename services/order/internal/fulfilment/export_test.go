package fulfilment

// HeardOf gives tests what an event of an order means to its process.
var HeardOf = heardOf
