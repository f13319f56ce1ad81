package service

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"time"
)

type check struct {
	name string
	do   func(context.Context) error
}

// CheckResult is one line of /readyz.
type CheckResult struct {
	Name   string `json:"name"`
	OK     bool   `json:"ok"`
	Detail string `json:"detail,omitempty"`
}

// Readiness is what /readyz answers, with 200 when Ready and otherwise 503.
type Readiness struct {
	Service string        `json:"service"`
	Ready   bool          `json:"ready"`
	Checks  []CheckResult `json:"checks"`
}

// patience is how long a check may take.
const patience = time.Second

// Check adds a condition of readiness. It is asked at each call of /readyz,
// concurrently with the others, and has one second to answer: its context ends
// then, and it counts as failed.
func (s *Service) Check(name string, do func(context.Context) error) {
	s.checks = append(s.checks, check{name, do})
}

// starting is what the service is waiting for before its loops run.
type starting struct {
	mu      sync.Mutex
	done    bool
	step    string
	problem error
}

func (s *starting) set(step string, problem error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.step, s.problem = step, problem
}

func (s *starting) finish() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.done = true
}

// check is nil when starting is over.
func (s *starting) check(context.Context) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.done:
		return nil
	case s.problem != nil:
		return fmt.Errorf("%s: %w", s.step, s.problem)
	default:
		return fmt.Errorf("not finished: %s", cmp.Or(s.step, "first step"))
	}
}

func (s *Service) readiness(ctx context.Context) Readiness {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	checks := append([]check{{"start", s.start.check}}, s.checks...)
	answer := Readiness{Service: s.name, Ready: true, Checks: make([]CheckResult, len(checks))}
	var asked sync.WaitGroup
	for i, c := range checks {
		asked.Go(func() {
			answer.Checks[i] = CheckResult{Name: c.name, OK: true}
			if err := c.ask(ctx); err != nil {
				answer.Checks[i] = CheckResult{Name: c.name, Detail: firstLine(err)}
			}
		})
	}
	asked.Wait()
	for _, result := range answer.Checks {
		answer.Ready = answer.Ready && result.OK
	}
	return answer
}

// ask does not trust a check to heed its context, nor not to panic.
func (c check) ask(ctx context.Context) error {
	answer := make(chan error, 1)
	go func() { answer <- guard(ctx, c.do) }()
	select {
	case err := <-answer:
		return err
	case <-ctx.Done():
		return errors.New("no answer in time")
	}
}

// firstLine keeps stacks and joined errors off a page that anybody may read.
func firstLine(err error) string {
	line, _, _ := strings.Cut(err.Error(), "\n")
	return line
}

func (s *Service) readyz(w http.ResponseWriter, r *http.Request) {
	answer := s.readiness(r.Context())
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Cache-Control", "no-store")
	if !answer.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	_ = json.NewEncoder(w).Encode(answer) // nobody left to tell
}

func livez(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	_, _ = w.Write([]byte("ok\n")) // nobody left to tell
}
