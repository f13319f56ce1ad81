// Command kurrentclient uses a server as a program with the KurrentDB client does, and says in one line for each step what
// came of it. A test compares that.
//
//	kurrentclient esdb://127.0.0.1:2113?tls=false streams
//	kurrentclient esdb://127.0.0.1:2113?tls=false groups
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"strings"
	"time"

	"github.com/kurrent-io/KurrentDB-Client-Go/kurrentdb"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(args []string) error {
	chapters := map[string]func(*session) error{"streams": streams, "groups": groups}
	if len(args) != 2 || chapters[args[1]] == nil {
		return errors.New("usage: kurrentclient URL streams|groups")
	}
	config, err := kurrentdb.ParseConnectionString(args[0])
	if err != nil {
		return err
	}
	config.Logger = kurrentdb.NoopLogging()
	client, err := kurrentdb.NewClient(config)
	if err != nil {
		return err
	}
	defer client.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	return chapters[args[1]](&session{ctx, client})
}

// session is one connection for as long as the program runs.
type session struct {
	context.Context
	*kurrentdb.Client
}

func (s *session) say(step string, result any) { fmt.Printf("%s: %v\n", step, result) }

func (s *session) append(stream string, expected kurrentdb.StreamState, types ...string) error {
	var events []kurrentdb.EventData
	for _, eventType := range types {
		events = append(events, kurrentdb.EventData{EventType: eventType, ContentType: kurrentdb.ContentTypeJson, Data: []byte(`{}`)})
	}
	written, err := s.AppendToStream(s, stream, kurrentdb.AppendToStreamOptions{StreamState: expected}, events...)
	if err != nil {
		return err
	}
	s.say("append to "+stream, fmt.Sprint("revision ", written.NextExpectedVersion))
	return nil
}

// read puts the events of a stream in words.
func (s *session) read(stream string) error {
	read, err := s.ReadStream(s, stream, kurrentdb.ReadStreamOptions{}, math.MaxInt64)
	if err != nil {
		return err
	}
	defer read.Close()
	var events []string
	for {
		event, err := read.Recv()
		if errors.Is(err, io.EOF) {
			s.say("read "+stream, strings.Join(events, " "))
			return nil
		}
		if err != nil {
			return err
		}
		events = append(events, name(event))
	}
}

func name(event *kurrentdb.ResolvedEvent) string {
	return fmt.Sprintf("%d:%s", event.OriginalEvent().EventNumber, event.OriginalEvent().EventType)
}

// refused says under which code the client knows an error that is expected.
func (s *session) refused(step string, err error, code kurrentdb.ErrorCode) error {
	var failure *kurrentdb.Error
	if !errors.As(err, &failure) || failure.Code() != code {
		return fmt.Errorf("%s: got %w, want code %d", step, err, code)
	}
	s.say(step, "refused")
	return nil
}
