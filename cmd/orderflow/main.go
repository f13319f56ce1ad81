// Command orderflow runs the whole order system on one machine and lets people try it: start it, stop it, watch a few
// orders go through it, and measure it.
//
//	orderflow run       everything in this process, in the foreground
//	orderflow up        the same in the background, or the containers of deploy/compose.yml where Docker answers
//	orderflow demo      the story of four orders, told by the services that saw them
//	orderflow load      how fast it is here
//	orderflow verify    what was committed against what every service shows and has announced
//	orderflow explain   the whole story of an order
//	orderflow deadletters list|show|redrive|discard     events that wait for a person
//	orderflow replay --to SERVICE                       history, told again to one consumer
//	orderflow rebuild SERVICE [--check]                 a read model made anew beside the live one, and swapped
//
// A command that cannot do its work ends with exit code 1 and one line that says what to change; a command line that
// makes no sense ends with 2, as do verify and explain when somebody does not answer.
package main

import (
	"context"
	"os"
	"os/signal"
	"syscall"

	"github.com/caarlos0/env/v11"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // a second signal ends the process at once
	code := run(ctx, os.Args[1:], terminal{Out: os.Stdout, Err: os.Stderr, Environ: env.ToMap(os.Environ())})
	stop()
	os.Exit(code)
}
