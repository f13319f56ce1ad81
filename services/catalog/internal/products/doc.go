// Package products keeps the list of products and their prices.
//
// The rules. A SKU is listed once. A product keeps its currency for ever, because
// a price in another one is no change of the price but another kind of product to
// everyone who adds prices up. The version of a product counts its prices from 0,
// and is the sequence of its events.
//
// How to read it: product.go has the state and the decisions, command.go what
// people ask for, announce.go what is told to the others, store.go the rows,
// read.go the questions, api.go the HTTP.
package products
