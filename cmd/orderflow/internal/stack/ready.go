package stack

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// askEvery is the pause between two questions for readiness.
const askEvery = 100 * time.Millisecond

// Readiness is what a service says of itself at /readyz.
type Readiness struct {
	Ready bool
	// Reason is what it waits for, or why it could not be asked.
	Reason string
}

// Ask asks every service for its readiness, at the same time.
func Ask(ctx context.Context, urls map[string]string) map[string]Readiness {
	type answer struct {
		name string
		Readiness
	}
	answers := make(chan answer)
	for name, url := range urls {
		go func() { answers <- answer{name, ask(ctx, url)} }()
	}
	all := map[string]Readiness{}
	for range urls {
		a := <-answers
		all[a.name] = a.Readiness
	}
	return all
}

func ask(ctx context.Context, url string) Readiness {
	ctx, cancel := context.WithTimeout(ctx, 3*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/readyz", http.NoBody)
	if err != nil {
		return Readiness{Reason: err.Error()}
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return Readiness{Reason: "does not answer: " + plain(err)}
	}
	defer func() { _ = response.Body.Close() }() // only read
	if response.StatusCode == http.StatusOK {
		return Readiness{Ready: true}
	}
	var body struct {
		Checks []struct {
			Name, Detail string
			OK           bool
		}
	}
	if err := json.NewDecoder(io.LimitReader(response.Body, 1<<20)).Decode(&body); err != nil {
		return Readiness{Reason: "answers " + response.Status}
	}
	reasons := []string{}
	for _, check := range body.Checks {
		if !check.OK {
			reasons = append(reasons, check.Name+": "+check.Detail)
		}
	}
	if len(reasons) == 0 {
		reasons = append(reasons, "is starting")
	}
	return Readiness{Reason: strings.Join(reasons, "; ")}
}

// plain leaves out of an error of an HTTP client what the caller knows: the method and the address.
func plain(err error) string {
	for {
		inner := errors.Unwrap(err)
		if inner == nil {
			return err.Error()
		}
		err = inner
	}
}

// WaitReady waits until every service is ready and tells about each that has become so. It gives up when ctx ends, with
// an error that says what each of the others waits for, and when the system has ended, with what that says.
func WaitReady(ctx context.Context, urls map[string]string, ended <-chan error, tell func(service string)) error {
	ticker := time.NewTicker(askEvery)
	defer ticker.Stop()
	told := map[string]bool{}
	for {
		answers := Ask(ctx, urls)
		waiting := []string{}
		for _, name := range slices.Sorted(maps.Keys(answers)) {
			switch {
			case !answers[name].Ready:
				waiting = append(waiting, name+" "+answers[name].Reason)
			case !told[name]:
				told[name] = true
				tell(name)
			}
		}
		if len(waiting) == 0 {
			return nil
		}
		select {
		case <-ticker.C:
		case err := <-ended:
			return fmt.Errorf("ended before it was ready: %w", err)
		case <-ctx.Done():
			return fmt.Errorf("not ready: %s: %w", strings.Join(waiting, "; "), context.Cause(ctx))
		}
	}
}
