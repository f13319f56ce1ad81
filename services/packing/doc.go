// Package packing is the service where orders are packed.
//
// The promise. Every order that was placed is on the worklist exactly once, with
// what is to go into the box. A packer packs it or rejects it, and whatever was
// answered with 200 is announced exactly once in effect. An order that was
// cancelled before it was packed is not packed any more.
//
// The service stores its state: one row a job, changed in place. Package jobs
// holds all of it; this package only puts the parts together.
package packing
