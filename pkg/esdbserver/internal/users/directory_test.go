package users

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
	"go.uber.org/goleak"

	"orderflow/pkg/esdbserver/internal/acl"
	"orderflow/pkg/esdbserver/internal/eventlog"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// world is a directory on a log of its own, with what it said to the operator.
type world struct {
	*Directory
	t    *testing.T
	log  *eventlog.Log
	said bytes.Buffer
}

func newWorld(t *testing.T, dir string) *world {
	t.Helper()
	w := &world{t: t}
	log, err := eventlog.Open(eventlog.Options{Dir: dir, WriteTimeout: 30 * time.Second, Committed: func(events []*eventlog.Event) {
		for _, e := range events {
			w.Committed(e)
		}
	}})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(w.close)
	w.log, w.Directory = log, New(log, slog.New(slog.NewTextHandler(&w.said, nil)), 100)
	return w
}

func (w *world) close() {
	if err := w.log.Close(); err != nil {
		w.t.Errorf("close: %v", err)
	}
}

func (w *world) ensure(passwords Passwords, reset bool) {
	w.t.Helper()
	if err := w.Ensure(w.t.Context(), passwords, reset); err != nil {
		w.t.Fatal(err)
	}
}

// write makes data the user of a name, as an administrator would.
func (w *world) write(stream, data string) {
	w.t.Helper()
	event := eventlog.Proposed{ID: uuid.New(), Type: "x", JSON: true, Data: []byte(data)}
	if _, err := w.log.Append(w.t.Context(), stream, eventlog.Any, []eventlog.Proposed{event}); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) expect(name, password string, want error) {
	w.t.Helper()
	if _, err := w.Authenticate(w.t.Context(), name, password); !errors.Is(err, want) {
		w.t.Errorf("%s with %q: %v, want %v", name, password, err, want)
	}
}

func TestFreshStoreHasItsTwoUsers(t *testing.T) {
	w := newWorld(t, "")
	w.ensure(Passwords{Ops: "secret"}, false)
	for _, test := range []struct {
		name, password string
		want           acl.User
	}{
		{"admin", "changeit", acl.User{Name: "admin", Groups: []string{"$admins"}}},
		{"ops", "secret", acl.User{Name: "ops", Groups: []string{"$ops"}}},
	} {
		got, err := w.Authenticate(t.Context(), test.name, test.password)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(test.want, got); diff != "" {
			t.Errorf("user (-want +got):\n%s", diff)
		}
	}
	for _, test := range []struct{ name, password string }{
		{"ops", "changeit"},
		{"ops", "secre"},
		{"ops", "secrett"},
		{"ops", ""},
		{"admin", ""},
		{"", ""},
		{"", "changeit"},
		{"Admin", "changeit"},
		{"nobody", "changeit"},
		{"$system", ""},
		{"s", "changeit"},
		{"\xff", "x"},
	} {
		w.expect(test.name, test.password, ErrRefused)
	}
	page, err := w.log.ReadAll(t.Context(), 0, false, 100)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range page.Events {
		if strings.HasPrefix(e.Stream, "$user-") && !bytes.Contains(e.Data, []byte(`"iterations":100,`)) {
			t.Errorf("the work of a password is not what was asked for: %s", e.Data)
		}
		got = append(got, e.Stream+" "+e.Type)
		if bytes.Contains(e.Data, []byte("secret\"")) || bytes.Contains(e.Data, []byte("changeit")) {
			t.Errorf("a password is stored: %s", e.Data)
		}
	}
	want := []string{"$users $User", "$users $User", "$user-admin $UserCreated", "$user-ops $UserCreated"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"admin"}, w.WithDefaultPassword(t.Context())); diff != "" {
		t.Errorf("users with the default password (-want +got):\n%s", diff)
	}
}

func TestRestartKeepsTheUsers(t *testing.T) {
	dir := t.TempDir()
	first := newWorld(t, dir)
	first.ensure(Passwords{Admin: "first"}, false)
	if err := first.log.Close(); err != nil {
		t.Fatal(err)
	}

	second := newWorld(t, dir)
	second.ensure(Passwords{}, false)
	second.expect("admin", "first", nil)
	second.expect("admin", "changeit", ErrRefused)
	if second.said.Len() > 0 {
		t.Errorf("nobody gave a password, and it said %s", &second.said)
	}
	second.ensure(Passwords{Admin: "second", Ops: "changeit"}, false)
	second.expect("admin", "first", nil)
	second.expect("admin", "second", ErrRefused)
	if n := strings.Count(second.said.String(), "another password"); n != 1 || !strings.Contains(second.said.String(), "user=admin") {
		t.Errorf("said %q", &second.said)
	}
	second.ensure(Passwords{Admin: "second"}, true)
	second.expect("admin", "second", nil)
	second.expect("admin", "first", ErrRefused)
	second.expect("ops", "changeit", nil)
}

func TestChangedUserIsChangedForTheNextCall(t *testing.T) {
	kept, err := newSecret("pw", 100)
	if err != nil {
		t.Fatal(err)
	}
	with := func(change func(*record)) string {
		r := record{LoginName: "alice", Groups: []string{"sales"}, secret: kept}
		change(&r)
		data, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		return string(data)
	}
	as := with(func(*record) {})
	for _, test := range []struct {
		name string
		does func(*world)
		want error
	}{
		{"nothing", func(*world) {}, nil},
		{"another group", func(w *world) { w.write("$user-alice", with(func(r *record) { r.Groups = nil })) }, nil},
		{"disabled", func(w *world) { w.write("$user-alice", with(func(r *record) { r.Disabled = true })) }, ErrRefused},
		{"disabled and enabled", func(w *world) {
			w.write("$user-alice", with(func(r *record) { r.Disabled = true }))
			w.write("$user-alice", as)
		}, nil},
		{"another salt", func(w *world) { w.write("$user-alice", with(func(r *record) { r.Salt = []byte("other") })) }, ErrRefused},
		{"no secret", func(w *world) { w.write("$user-alice", `{"loginName":"alice"}`) }, ErrRefused},
		{"an algorithm that is not ours", func(w *world) { w.write("$user-alice", with(func(r *record) { r.Algorithm = "MD5" })) }, ErrRefused},
		{"work for hours", func(w *world) { w.write("$user-alice", with(func(r *record) { r.Iterations = 1 << 40 })) }, ErrRefused},
		{"rubbish", func(w *world) { w.write("$user-alice", `no user`) }, ErrRefused},
		{"deleted", func(w *world) {
			if _, err := w.log.Delete(t.Context(), "$user-alice", eventlog.Any); err != nil {
				t.Fatal(err)
			}
		}, ErrRefused},
		{"tombstoned", func(w *world) {
			if _, err := w.log.Tombstone(t.Context(), "$user-alice", eventlog.Any); err != nil {
				t.Fatal(err)
			}
		}, ErrRefused},
		{"another user's change", func(w *world) { w.write("$user-alice2", as) }, nil},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newWorld(t, "")
			w.write("$user-alice", as)
			w.expect("alice", "pw", nil)
			test.does(w)
			w.expect("alice", "pw", test.want)
			if got, err := w.Authenticate(t.Context(), "alice", "pw"); err == nil && test.name == "another group" && len(got.Groups) > 0 {
				t.Errorf("still in %v", got.Groups)
			}
		})
	}
}

func TestDeletedStandardUserStaysDeleted(t *testing.T) {
	w := newWorld(t, "")
	w.ensure(Passwords{}, false)
	if _, err := w.log.Delete(t.Context(), "$user-ops", eventlog.Any); err != nil {
		t.Fatal(err)
	}
	w.ensure(Passwords{}, false)
	w.expect("ops", "changeit", ErrRefused)
	w.ensure(Passwords{Ops: "again"}, false)
	w.expect("ops", "again", ErrRefused)
	w.ensure(Passwords{Ops: "again"}, true)
	w.expect("ops", "again", nil)

	if _, err := w.log.Tombstone(t.Context(), "$user-ops", eventlog.Any); err != nil {
		t.Fatal(err)
	}
	w.ensure(Passwords{Ops: "again"}, false)
	w.expect("ops", "again", ErrRefused)
	if err := w.Ensure(t.Context(), Passwords{Ops: "again"}, true); err == nil {
		t.Error("a tombstoned user was brought back")
	}
}

func TestManyCallsAtOnceAreAllLetIn(t *testing.T) {
	w := newWorld(t, "")
	w.ensure(Passwords{}, false)
	var calls sync.WaitGroup
	for i := range 50 {
		calls.Go(func() {
			w.expect("admin", "changeit", nil)
			if i%25 == 0 {
				w.write("$user-other", "{}") // makes everybody prove themselves again
				w.expect("admin", "wrong", ErrRefused)
			}
		})
	}
	calls.Wait()
}

func TestCallerWhoLeavesDoesNotWaitForTheOthers(t *testing.T) {
	w := newWorld(t, "")
	for range cap(w.deriving) {
		w.deriving <- struct{}{}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := w.Authenticate(ctx, "admin", "changeit"); !errors.Is(err, context.Canceled) {
		t.Error(err)
	}
}

func TestRememberedLoginsAreBounded(t *testing.T) {
	k := newKnown()
	for i := range 3 * maxKnown {
		name := fmt.Sprint(i)
		k.add(name, "pw", 7, acl.User{Name: name})
		if user, ok := k.find(name, "pw", 7); !ok || user.Name != name {
			t.Fatalf("forgot %s at once", name)
		}
	}
	if len(k.logins) > maxKnown {
		t.Errorf("%d are remembered", len(k.logins))
	}
	last := fmt.Sprint(3*maxKnown - 1)
	if _, ok := k.find(last, "pw", 8); ok {
		t.Error("a login from before a change is remembered")
	}
	if _, ok := k.find(last, "p", 7); ok {
		t.Error("another password is taken for the right one")
	}
	if _, ok := k.find(last+"p", "w", 7); ok {
		t.Error("a name that ends with the password's beginning is taken for the right one")
	}
}

func TestPasswordCostsWhatIsRecommendedUnlessToldOtherwise(t *testing.T) {
	kept, err := newSecret("pw", New(nil, nil, 0).iterations)
	if err != nil || kept.Iterations != 210_000 {
		t.Fatalf("%d iterations, %v", kept.Iterations, err)
	}
	for password, want := range map[string]bool{"pw": true, "pW": false, "": false} {
		if got, err := kept.matches(password); err != nil || got != want {
			t.Errorf("%q: %t, %v, want %t", password, got, err, want)
		}
	}
	again, err := newSecret("pw", kept.Iterations)
	if err != nil || bytes.Equal(again.Hash, kept.Hash) {
		t.Errorf("the same password has the same hash twice (%v)", err)
	}
}

func TestFirstLoginsAfterTheStartCostNothing(t *testing.T) {
	w := newWorld(t, "")
	w.ensure(Passwords{Ops: "secret"}, false)
	for range cap(w.deriving) {
		w.deriving <- struct{}{} // nobody can derive a hash any more
	}
	w.expect("admin", "changeit", nil)
	w.expect("ops", "secret", nil)
}
