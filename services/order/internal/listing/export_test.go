package listing

// Write gives tests the writing of one batch.
var Write = (*Listing).write
