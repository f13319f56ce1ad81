package handover_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"orderflow/pkg/eventbus"
	"orderflow/pkg/eventbus/internal/handover"
)

func handler(h eventbus.Handler) *handover.Handler {
	return &handover.Handler{Queue: "crm", Handle: h, Log: slog.New(slog.DiscardHandler), Count: &handover.Counters{}}
}

func batch() []eventbus.Delivery {
	return []eventbus.Delivery{{Event: eventbus.Event{ID: "a"}}, {Event: eventbus.Event{ID: "b"}, Redelivered: true}}
}

// taken leaves out what belongs with the dead letters.
func taken(_ []int, taken bool) bool { return taken }

func TestPausesGrowAndHaveAnEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var attempts []time.Time
		h := handler(func(context.Context, []eventbus.Delivery) error {
			attempts = append(attempts, time.Now())
			if len(attempts) == 20 {
				return nil
			}
			return errors.New("down")
		})
		if !taken(h.Until(t.Context(), t.Context(), batch())) {
			t.Fatal("the batch was given up")
		}
		first, last := attempts[1].Sub(attempts[0]), attempts[19].Sub(attempts[18])
		if first > 100*time.Millisecond || last < 5*time.Second || last > 30*time.Second {
			t.Errorf("first pause %s, last pause %s", first, last)
		}
	})
}

func TestAnHourWithoutDatabaseIsSurvived(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		back := time.Now().Add(time.Hour)
		h := handler(func(context.Context, []eventbus.Delivery) error {
			if time.Now().Before(back) {
				return errors.New("down")
			}
			return nil
		})
		if !taken(h.Until(t.Context(), t.Context(), batch())) {
			t.Fatal("the batch was given up")
		}
		if late := time.Since(back); late > 30*time.Second {
			t.Errorf("noticed only after %s that the database is back", late)
		}
		if h.Failing() != nil {
			t.Errorf("still failing: %v", h.Failing())
		}
	})
}

func TestStoppingEndsAPauseAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		waiting, stop := context.WithCancel(t.Context())
		attempts := 0
		h := handler(func(context.Context, []eventbus.Delivery) error { attempts++; return errors.New("down") })
		done := make(chan bool)
		go func() { done <- taken(h.Until(waiting, t.Context(), batch())) }()
		synctest.Wait()
		if err := h.Failing(); err == nil || !strings.Contains(err.Error(), "down") {
			t.Errorf("failing: %v", err)
		}
		stop()
		if <-done || attempts != 1 {
			t.Errorf("acknowledged, or tried again: %d attempts", attempts)
		}
	})
}

func TestAPanicIsAFailedAttempt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		attempts := 0
		h := handler(func(_ context.Context, got []eventbus.Delivery) error {
			if attempts++; attempts == 1 {
				panic("a bug")
			}
			if !got[0].Redelivered {
				t.Error("the second attempt does not say so")
			}
			return nil
		})
		if !taken(h.Until(t.Context(), t.Context(), []eventbus.Delivery{{Event: eventbus.Event{ID: "a"}}})) {
			t.Fatal("the batch was given up")
		}
		stats := h.Count.Stats()
		if stats.Delivered != 2 || stats.Redelivered != 1 || stats.HandlerFailures != 1 {
			t.Errorf("counted %+v", stats)
		}
	})
}

func TestALifetimeWaitsForItsHandlerThenForcesIt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		life := handover.NewLifetime()
		go func() {
			<-life.Handling().Done() // a handler that takes longer than anyone waits
			life.Finish()
		}()
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		began := time.Now()
		if err := life.Close(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("got %v", err)
		}
		if waited := time.Since(began); waited != time.Minute {
			t.Errorf("waited %s, want the whole minute and no more", waited)
		}
		if err := life.Close(t.Context()); err != nil {
			t.Errorf("closing again: %v", err)
		}
	})
}

func TestALifetimeDoesNotWaitForAHandlerThatWillNotStop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		life := handover.NewLifetime()
		over, cancel := context.WithCancel(t.Context())
		cancel()
		began := time.Now()
		if err := life.Close(over); !errors.Is(err, context.Canceled) {
			t.Errorf("got %v", err)
		}
		if waited := time.Since(began); waited > 5*time.Second {
			t.Errorf("waited %s", waited)
		}
		life.Finish()
	})
}
