package esdbservertest_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/EventStore/EventStore-Client-Go/v4/esdb"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"orderflow/pkg/esdbserver/esdbservertest"
)

// appendOne expects a revision, or any with -1.
func appendOne(t *testing.T, client *esdb.Client, stream string, expected int) error {
	t.Helper()
	var revision esdb.ExpectedRevision = esdb.Any{}
	if expected >= 0 {
		revision = esdb.Revision(uint64(expected))
	}
	_, err := client.AppendToStream(context.Background(), stream, esdb.AppendToStreamOptions{ExpectedRevision: revision}, esdb.EventData{EventType: "x"})
	return err
}

func code(err error) esdb.ErrorCode {
	var failure *esdb.Error
	if errors.As(err, &failure) {
		return failure.Code()
	}
	return -1
}

func subscribe(t *testing.T, client *esdb.Client, stream string) *esdb.Subscription {
	t.Helper()
	subscription, err := client.SubscribeToStream(context.Background(), stream, esdb.SubscribeToStreamOptions{From: esdb.Start{}})
	if err != nil {
		t.Fatalf("subscribe: %v", err)
	}
	t.Cleanup(func() { subscription.Close() })
	return subscription
}

// events receives until n have come, or the end.
func events(subscription *esdb.Subscription, n int) (numbers string, err error) {
	var all []string
	for len(all) < n {
		message := subscription.Recv()
		if message.SubscriptionDropped != nil {
			return strings.Join(all, " "), message.SubscriptionDropped.Error
		}
		if message.EventAppeared != nil {
			all = append(all, fmt.Sprint(message.EventAppeared.Event.EventNumber))
		}
	}
	return strings.Join(all, " "), nil
}

func TestAppendFailsAsTheTestWants(t *testing.T) {
	for _, test := range []struct {
		name    string
		failure esdbservertest.Failure
		code    esdb.ErrorCode
		says    string
		written int
	}{
		{"refused", esdbservertest.Refused(status.Error(codes.PermissionDenied, "not you")), esdb.ErrorCodeAccessDenied, "not you", 0},
		{"refused with any error", esdbservertest.Refused(errors.New("disk full")), esdb.ErrorCodeUnknown, "disk full", 0},
		{"refused without an error", esdbservertest.Refused(nil), esdb.ErrorCodeUnknown, "failed", 0},
		{"timed out", esdbservertest.TimedOut(), esdb.ErrorAborted, "timed out", 0},
		{"wrong version", esdbservertest.WrongVersion(), esdb.ErrorCodeWrongExpectedVersion, "expecting '0' but got '0'", 0},
		{"written, and it timed out", esdbservertest.Written(status.Error(codes.Aborted, "slow disk")), esdb.ErrorAborted, "slow disk", 1},
		{"written, and the answer is lost", esdbservertest.AnswerLost(), esdb.ErrorUnavailable, "", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			store := esdbservertest.New(t)
			client := store.Client(t)
			store.Append(t, "s", esdb.EventData{EventType: "first"})
			store.FailAppends(test.failure)
			if err := appendOne(t, client, "s", 0); code(err) != test.code || !strings.Contains(err.Error(), test.says) {
				t.Errorf("got %v, want code %v and %q", err, test.code, test.says)
			}
			if got := len(store.Events(t, "s")) - 1; got != test.written {
				t.Errorf("%d events were written, want %d", got, test.written)
			}
			if err := appendOne(t, client, "s", test.written); err != nil {
				t.Errorf("the append after it: %v", err)
			}
		})
	}
}

func TestFailuresComeOneAfterTheOther(t *testing.T) {
	store := esdbservertest.New(t)
	client := store.Client(t)
	store.FailAppends(esdbservertest.TimedOut(), esdbservertest.WrongVersion())
	for i, want := range []esdb.ErrorCode{esdb.ErrorAborted, esdb.ErrorCodeWrongExpectedVersion, -1} {
		if got := code(appendOne(t, client, "s", -1)); got != want {
			t.Errorf("append %d: %v, want %v", i, got, want)
		}
	}
	if n := len(store.Await(t, "s", 1)); n != 1 {
		t.Errorf("%d events", n)
	}
}

func TestWriterThatExpectsAnythingIsToldSoByAWrongVersion(t *testing.T) {
	store := esdbservertest.New(t)
	client := store.Client(t)
	for says, expected := range map[string]esdb.ExpectedRevision{
		"expecting 'any' but got 'no_stream'": esdb.Any{}, "expecting 'no_stream' but got 'no_stream'": esdb.NoStream{},
		"expecting 'stream_exists' but got 'no_stream'": esdb.StreamExists{}, "expecting '7' but got 'no_stream'": esdb.Revision(7),
	} {
		store.FailAppends(esdbservertest.WrongVersion())
		_, err := client.AppendToStream(t.Context(), "s", esdb.AppendToStreamOptions{ExpectedRevision: expected}, esdb.EventData{EventType: "x"})
		if err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("got %v, want %q", err, says)
		}
	}
}

func TestAppendThatIsHeldIsWrittenWhenItIsReleased(t *testing.T) {
	store := esdbservertest.New(t)
	held := store.HoldAppends()
	outcome := make(chan error)
	client := store.Client(t)
	for range 2 {
		go func() { outcome <- appendOne(t, client, "s", -1) }()
	}
	held.Await(t, 2)
	if n := len(store.Events(t, "s")); n != 0 {
		t.Errorf("%d events were written before", n)
	}
	held.Release()
	held.Release()
	for range 2 {
		if err := <-outcome; err != nil {
			t.Error(err)
		}
	}
	if err := appendOne(t, client, "s", 1); err != nil {
		t.Errorf("an append after it: %v", err)
	}
}

// For the test in which somebody else writes between a decision and its append.
func TestFaultsAreForTheCodeUnderTestAlone(t *testing.T) {
	store := esdbservertest.New(t)
	client := store.Client(t)
	outcome := make(chan error)
	held := store.HoldAppends()
	store.FailAppends(esdbservertest.AnswerLost())
	go func() { outcome <- appendOne(t, client, "s", 0) }()
	held.Await(t, 1)
	release := store.Unavailable()
	store.Append(t, "s", esdb.EventData{EventType: "first"}) // and is not the one that fails
	if n := len(store.Events(t, "s")); n != 1 {
		t.Errorf("%d events, want that of the test", n)
	}
	release()
	held.Release()
	if err := <-outcome; code(err) != esdb.ErrorUnavailable {
		t.Errorf("the code under test got %v", err)
	}
	if n := len(store.Events(t, "s")); n != 2 {
		t.Errorf("%d events, want that of the code under test too", n)
	}
}

func TestWriterWhoGivesUpIsNotHeld(t *testing.T) {
	store := esdbservertest.New(t)
	client := store.Client(t)
	held := store.HoldAppends()
	ctx, giveUp := context.WithCancel(t.Context())
	outcome := make(chan error)
	go func() {
		_, err := client.AppendToStream(ctx, "s", esdb.AppendToStreamOptions{}, esdb.EventData{EventType: "x"})
		outcome <- err
	}()
	held.Await(t, 1)
	giveUp()
	if err := <-outcome; status.Code(errors.Unwrap(err)) != codes.Canceled {
		t.Errorf("got %v", err)
	}
}

func TestUnavailableStoreRefusesEverythingUntilItIsReleased(t *testing.T) {
	store := esdbservertest.New(t)
	client := store.Client(t)
	store.Append(t, "s", esdb.EventData{EventType: "x"})
	running := subscribe(t, client, "s")
	if got, err := events(running, 1); err != nil {
		t.Fatal(got, err)
	}
	others := make([]*esdb.Client, 4) // each has a go, for the client looks for another server after that
	for i := range others {
		others[i] = store.Client(t)
		if _, err := others[i].GetServerVersion(); err != nil {
			t.Fatal(err)
		}
	}
	release := store.Unavailable()
	again := store.Unavailable()
	if _, err := events(running, 1); status.Code(err) != codes.Unavailable {
		t.Errorf("the subscription that ran: %v", err)
	}
	if err := appendOne(t, others[0], "s", -1); code(err) != esdb.ErrorUnavailable {
		t.Errorf("append: %v", err)
	}
	if _, err := others[1].DeleteStream(t.Context(), "s", esdb.DeleteStreamOptions{}); code(err) != esdb.ErrorUnavailable {
		t.Errorf("delete: %v", err)
	}
	if _, err := others[2].SubscribeToAll(t.Context(), esdb.SubscribeToAllOptions{}); code(err) != esdb.ErrorUnavailable {
		t.Errorf("subscribe: %v", err)
	}
	release()
	release()
	if err := appendOne(t, others[3], "s", -1); code(err) != esdb.ErrorUnavailable {
		t.Errorf("released once of two: %v", err)
	}
	again()
	if n := len(store.Await(t, "s", 1)); n != 1 {
		t.Errorf("%d events, want the one from before", n)
	}
}

func TestDroppedSubscriptionsCanBeMadeAgain(t *testing.T) {
	store := esdbservertest.New(t)
	client := store.Client(t)
	store.Append(t, "s", esdb.EventData{EventType: "x"})
	first, second := subscribe(t, client, "s"), subscribe(t, store.Client(t), "s")
	for _, subscription := range []*esdb.Subscription{first, second} {
		if _, err := events(subscription, 1); err != nil {
			t.Fatal(err)
		}
	}
	if n := store.DropSubscriptions(); n != 2 {
		t.Errorf("dropped %d", n)
	}
	for _, subscription := range []*esdb.Subscription{first, second} {
		if _, err := events(subscription, 1); status.Code(err) != codes.Unavailable {
			t.Errorf("ended with %v", err)
		}
	}
	store.Append(t, "s", esdb.EventData{EventType: "x"})
	if got, err := events(subscribe(t, client, "s"), 2); err != nil || got != "0 1" {
		t.Errorf("afterwards: %q, %v", got, err)
	}
}

func TestCutConnectionsAreMadeAgain(t *testing.T) {
	store := esdbservertest.New(t)
	client := store.Client(t)
	subscription := subscribe(t, client, "s")
	store.CutConnections()
	if _, err := events(subscription, 1); status.Code(err) != codes.Unavailable {
		t.Errorf("the subscription ended with %v", err)
	}
	if err := appendOne(t, client, "s", -1); err != nil {
		t.Errorf("afterwards: %v", err)
	}
}

func TestEventsAreHeldFromSubscriptionsOnly(t *testing.T) {
	store := esdbservertest.New(t)
	store.Append(t, "s", esdb.EventData{EventType: "x"}, esdb.EventData{EventType: "x"})
	held := store.HoldEvents()
	subscription := subscribe(t, store.Client(t), "s")
	held.Await(t, 1)
	if n := len(store.Events(t, "s")); n != 2 {
		t.Errorf("a reader sees %d events", n)
	}
	held.Release()
	if got, err := events(subscription, 2); err != nil || got != "0 1" {
		t.Errorf("afterwards: %q, %v", got, err)
	}
}

func TestSlownessEndsWhenItIsReleased(t *testing.T) {
	store := esdbservertest.New(t)
	client := store.Client(t)
	subscription := subscribe(t, client, "s")
	// An hour: nothing of this ends unless it is released.
	slowCalls, slowEvents := store.SlowCalls(time.Hour), store.SlowEvents(time.Hour)
	outcome := make(chan error)
	go func() { outcome <- appendOne(t, client, "s", -1) }()
	select {
	case err := <-outcome:
		t.Fatalf("the call was not slow: %v", err)
	case <-time.After(50 * time.Millisecond):
	}
	slowCalls()
	if err := <-outcome; err != nil {
		t.Fatal(err)
	}
	slowEvents()
	if got, err := events(subscription, 1); err != nil || got != "0" {
		t.Errorf("event %q, %v", got, err)
	}
	defer store.SlowCalls(time.Millisecond)()
	defer store.SlowEvents(time.Millisecond)()
	if err := appendOne(t, client, "s", 0); err != nil {
		t.Errorf("slow by a millisecond: %v", err)
	}
	if got, err := events(subscription, 1); err != nil || got != "1" {
		t.Errorf("slow by a millisecond: event %q, %v", got, err)
	}
}

func TestStoppingIsNotHeldUpByFaults(t *testing.T) {
	store := esdbservertest.New(t, esdbservertest.InDir(t.TempDir()))
	store.Append(t, "s", esdb.EventData{EventType: "x"})
	held := store.HoldAppends()
	slow := store.SlowEvents(time.Hour)
	client := store.Client(t)
	subscribe(t, client, "s")
	outcome := make(chan error)
	go func() { outcome <- appendOne(t, client, "s", -1) }()
	held.Await(t, 1)
	store.Stop()
	if err := <-outcome; code(err) != esdb.ErrorUnavailable {
		t.Errorf("the held append: %v", err)
	}
	held.Release()
	slow()
	store.Start()
	if n := len(store.Events(t, "s")); n != 1 {
		t.Errorf("%d events, want the one from before", n)
	}
}

func TestFaultsMayComeAndGoWhileMuchHappens(t *testing.T) {
	store := esdbservertest.New(t)
	const writers, each = 4, 20
	var writing, meddling sync.WaitGroup
	done := make(chan struct{})
	for _, meddle := range []func(){
		func() { store.DropSubscriptions() },
		func() { store.CutConnections() },
		func() { store.FailAppends(esdbservertest.TimedOut()) },
		func() { store.SlowEvents(time.Microsecond)() },
		func() { store.HoldAppends().Release() },
		func() { store.Unavailable()() },
	} {
		meddling.Go(func() {
			tick := time.NewTicker(20 * time.Millisecond)
			defer tick.Stop()
			for {
				select {
				case <-tick.C:
					meddle()
				case <-done:
					return
				}
			}
		})
	}
	for w := range writers {
		writing.Go(func() {
			for n := range each {
				appendUntilTaken(t, store, fmt.Sprintf("s-%d", w), n)
			}
		})
	}
	writing.Wait()
	close(done)
	meddling.Wait()
	store.FailAppends() // none: what was asked for above may be left
	for w := range writers {
		if n := len(store.Await(t, fmt.Sprintf("s-%d", w), each)); n != each {
			t.Errorf("writer %d: %d events, want %d", w, n, each)
		}
	}
}

// appendUntilTaken repeats an append with a definite expectation until the store says that it has it.
func appendUntilTaken(t *testing.T, store *esdbservertest.Server, stream string, n int) {
	t.Helper()
	event := esdb.EventData{EventID: [16]byte{1, byte(n)}, EventType: "x"}
	var expected esdb.ExpectedRevision = esdb.NoStream{}
	if n > 0 {
		expected = esdb.Revision(uint64(n - 1))
	}
	for range 1000 {
		client := store.Client(t)
		_, err := client.AppendToStream(context.Background(), stream, esdb.AppendToStreamOptions{ExpectedRevision: expected}, event)
		client.Close()
		if err == nil {
			return
		}
	}
	t.Errorf("%s %d was never taken", stream, n)
}
