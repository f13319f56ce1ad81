// Package datadir is the folder in which one embedded system lives: its databases, its log, and who runs it.
//
// Two systems never share a folder: whoever runs one holds a lock for as long as its process lives, and the operating
// system lets go of it however the process ends. Nothing is ever written into, or removed from, a folder that holds
// anything else.
package datadir
