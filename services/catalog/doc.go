// Package catalog is the service where products are listed and priced.
//
// The promise. A product that was listed, and every price it had, is announced
// exactly once in effect and in order, so that whoever keeps a copy of the prices
// ends with the right one. Nothing is announced that did not happen: saying a
// price again is no change.
//
// The service stores its state: one row a product, changed in place. It reads no
// events of others. Package products holds all of it; this package only puts the
// parts together.
package catalog
