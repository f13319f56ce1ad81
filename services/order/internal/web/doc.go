// Package web is the order service over HTTP: what a request must look like,
// which command it is, and what the answer says.
package web
