// Package stagetest is a system in memory whose services say what a test scripts:
// they answer over HTTP like the real ones, at addresses of their own, and can
// be stopped and started again there.
package stagetest
