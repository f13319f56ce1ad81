// Package page serves the console's page: three kinds of files, embedded, and
// nothing from anywhere else. The browser is told to refuse everything else,
// too, including scripts and styles inside the page.
package page
