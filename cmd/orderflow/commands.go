package main

import (
	"context"
	"errors"
	"fmt"
	"io"

	"github.com/alecthomas/kong"

	"orderflow/cmd/orderflow/internal/datadir"
	"orderflow/cmd/orderflow/internal/embedded"
)

// terminal is what surrounds a command.
type terminal struct {
	// Out takes what the command was asked for, Err its complaints and logs.
	Out, Err io.Writer
	// Environ holds the settings, by variable name.
	Environ map[string]string
}

// commands is the command line.
type commands struct {
	Run     runCommand         `cmd:"" help:"Run the event store, the event bus and all services in this process, in the foreground."`
	Up      upCommand          `cmd:"" help:"Start everything in the background and wait until it is ready."`
	Down    downCommand        `cmd:"" help:"Stop what up started. The data stays."`
	Status  statusCommand      `cmd:"" help:"Say what runs, and what each service waits for."`
	Logs    logsCommand        `cmd:"" help:"Show the log of what up started."`
	Clean   cleanCommand       `cmd:"" help:"Stop what up started and remove its data."`
	Demo    demoCommand        `cmd:"" help:"Tell the story of four orders, on what runs or on a system of its own."`
	Load    loadCommand        `cmd:"" help:"Measure how fast orders are taken and seen, on what runs or on a system of its own."`
	Letters deadlettersCommand `cmd:"" name:"deadletters" help:"Look at events that could not be handled or published, have them tried again, or give them up."`
	Replay  replayCommand      `cmd:"" help:"Tell one consumer, such as a service that was added later, what was announced so far."`
	Rebuild rebuildCommand     `cmd:"" help:"Make a read model anew beside the live one, compare them, and swap."`
	Verify  verifyCommand      `cmd:"" help:"Compare what was committed with what every service shows and has announced."`
	Explain explainCommand     `cmd:"" help:"Tell the whole story of an order."`
	Health  healthCommand      `cmd:"" help:"Exit 0 when URL answers 200, otherwise 1: the health check of containers."`
}

// dataFlag names the data directory.
type dataFlag struct {
	Data folder `default:"data" help:"Folder of the data, the log and the process id." placeholder:"DIR"`
}

func (f dataFlag) dir() datadir.Dir { return datadir.New(string(f.Data), embedded.Names()) }

// folder is the path of one. It has a name: an empty one, as a variable that is not set leaves behind, would otherwise be
// the working directory to kong, and clean removes what it is given.
type folder string

// Decode reads the path from the command line.
func (f *folder) Decode(ctx *kong.DecodeContext) error {
	var path string
	if err := ctx.Scan.PopValueInto("folder", &path); err != nil {
		return err
	}
	if path == "" {
		return errors.New("it has no name")
	}
	*f = folder(kong.ExpandPath(path))
	return nil
}

// run is the whole program. It returns the exit code: 0, 1 when a command could not do its work, 2 for a command line
// that makes no sense; commands that look say in their help what else they return.
func run(ctx context.Context, args []string, term terminal) int {
	exit := -1
	parser, err := kong.New(&commands{},
		kong.Name("orderflow"),
		kong.Description("An event-sourced order system on one machine."),
		kong.Writers(term.Out, term.Err),
		kong.Exit(func(code int) { exit = code }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(term),
	)
	if err != nil {
		fmt.Fprintf(term.Err, "orderflow: %v\n", err)
		return 1
	}
	command, err := parser.Parse(args)
	switch {
	case exit >= 0: // --help has been answered
		return exit
	case err != nil:
		fmt.Fprintf(term.Err, "orderflow: %v (orderflow --help lists what there is)\n", err)
		return 2
	}
	if err := command.Run(); err != nil {
		fmt.Fprintf(term.Err, "orderflow: %v\n", err)
		if coded, ok := errors.AsType[exitCodeError](err); ok {
			return coded.code
		}
		return 1
	}
	return 0
}
