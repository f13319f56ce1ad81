// Package neighbours asks the other services.
//
// The promise: every question has an end. An answer that takes longer than
// [Timeout] or is larger than 4 MiB is an error that names the service, and no
// question goes anywhere but to the addresses in the settings: redirects are
// not followed.
package neighbours
