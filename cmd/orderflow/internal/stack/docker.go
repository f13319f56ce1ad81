package stack

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"time"
)

// ComposeFile describes the containers.
const ComposeFile = "deploy/compose.yml"

// Compose runs the containers of a compose file with the docker command.
type Compose struct {
	// File is the path of the compose file.
	File string
	// Out receives what docker tells while it works.
	Out io.Writer
}

// Usable returns nil when there is an engine that answers, otherwise why not, in one line.
func (c Compose) Usable(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if _, err := os.Stat(c.File); err != nil {
		return fmt.Errorf("there is no %s here", c.File)
	}
	if _, err := exec.LookPath("docker"); err != nil {
		return errors.New("there is no docker command")
	}
	if err := c.quietly(ctx, "version", "--format", "{{.Server.Version}}"); err != nil {
		return fmt.Errorf("no Docker engine answers: %w", err)
	}
	if err := c.quietly(ctx, "compose", "version"); err != nil {
		return fmt.Errorf("docker has no compose: %w", err)
	}
	return nil
}

// Prepare gets the images of the servers and builds that of the services.
func (c Compose) Prepare(ctx context.Context) error {
	if err := c.compose(ctx, "pull", "--ignore-buildable", "--policy", "missing"); err != nil {
		return fmt.Errorf("the images cannot be had: %w", err)
	}
	if err := c.compose(ctx, "build"); err != nil {
		return fmt.Errorf("the image of the services cannot be built: %w", err)
	}
	return nil
}

// Up starts the containers and, unless wait is false, returns when they are healthy.
func (c Compose) Up(ctx context.Context, wait bool) error {
	args := []string{"up", "-d", "--build"}
	if wait {
		args = append(args, "--wait")
	}
	return c.compose(ctx, args...)
}

// Down stops the containers; with their data when volumes is true.
func (c Compose) Down(ctx context.Context, volumes bool) error {
	args := []string{"down", "--remove-orphans"}
	if volumes {
		args = append(args, "--volumes")
	}
	return c.compose(ctx, args...)
}

// Logs shows the logs of the containers, and goes on with follow until ctx ends.
func (c Compose) Logs(ctx context.Context, follow bool) error {
	args := []string{"logs"}
	if follow {
		args = append(args, "--follow")
	}
	return c.compose(ctx, args...)
}

func (c Compose) compose(ctx context.Context, args ...string) error {
	var last lastLine
	command := exec.CommandContext(ctx, "docker", append([]string{"compose", "-f", c.File}, args...)...)
	command.Stdout = c.Out
	command.Stderr = io.MultiWriter(c.Out, &last)
	if err := command.Run(); err != nil {
		return fmt.Errorf("docker compose %s: %w: %s", args[0], err, last.text)
	}
	return nil
}

// quietly runs docker and returns what it complained about.
func (c Compose) quietly(ctx context.Context, args ...string) error {
	var last lastLine
	command := exec.CommandContext(ctx, "docker", args...)
	command.Stderr = &last
	if err := command.Run(); err != nil {
		if last.text != "" {
			return errors.New(last.text)
		}
		return err
	}
	return nil
}

// lastLine keeps the last line that says something.
type lastLine struct{ text string }

func (l *lastLine) Write(text []byte) (int, error) {
	for line := range bytes.Lines(text) {
		if trimmed := strings.TrimSpace(string(line)); trimmed != "" && !strings.HasPrefix(trimmed, "Run '") {
			l.text = trimmed
		}
	}
	return len(text), nil
}
