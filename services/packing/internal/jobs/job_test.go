package jobs

import (
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

var later = noon.Add(time.Hour)

// must is for steps of a test that cannot be refused.
func must(j Job, err error) Job {
	if err != nil {
		panic(err)
	}
	return j
}

func TestWhatPeopleMayDoFollowsFromTheFacts(t *testing.T) {
	packed := must(pending().Pack("Ada", noon))
	rejected := must(pending().Reject("no mugs", noon))
	for name, c := range map[string]struct {
		given Job
		when  func(Job, time.Time) (Job, error)
		want  Status
		err   error
		still bool // nothing changes
	}{
		"a pending job is packed":        {pending(), pack("Ada"), StatusPacked, nil, false},
		"a pending job is rejected":      {pending(), reject("no mugs"), StatusRejected, nil, false},
		"packing again changes nothing":  {packed, pack("Ada"), StatusPacked, nil, true},
		"two cannot pack one box":        {packed, pack("Bob"), StatusPacked, ErrAlreadyPacked, true},
		"a packed box is not rejected":   {packed, reject("no mugs"), StatusPacked, ErrAlreadyPacked, true},
		"rejecting again is no change":   {rejected, reject("no mugs"), StatusRejected, nil, true},
		"another reason comes too late":  {rejected, reject("broken"), StatusRejected, ErrRejected, true},
		"a rejected order is not packed": {rejected, pack("Ada"), StatusRejected, ErrRejected, true},
		"a cancelled one is not packed":  {pending().Cancel(noon, 1), pack("Ada"), StatusCancelled, ErrCancelled, true},
		"a cancelled one is not refused": {pending().Cancel(noon, 1), reject("no"), StatusCancelled, ErrCancelled, true},
		"a packed one stays so after cancelling": {
			packed.Cancel(noon, 1), pack("Ada"), StatusPacked, nil, true,
		},
		"a rejected one stays so after cancelling": {
			rejected.Cancel(noon, 1), reject("no mugs"), StatusRejected, nil, true,
		},
		"what was packed is put back":                {packed, Job.Return, StatusReturned, nil, false},
		"putting back again is no change":            {must(packed.Return(noon)), Job.Return, StatusReturned, nil, true},
		"what is gone is not put back":               {packed.Dispatch(noon), Job.Return, StatusPacked, nil, true},
		"what was never packed is not put back":      {pending().Cancel(noon, 1), Job.Return, StatusCancelled, ErrNotPacked, true},
		"what was put back is not packed again":      {must(packed.Return(noon)), pack("Ada"), StatusReturned, ErrCancelled, true},
		"what was put back is not rejected":          {must(packed.Return(noon)), reject("no"), StatusReturned, ErrAlreadyPacked, true},
		"an order that has not come is not packed":   {unseen("order"), pack("Ada"), StatusUnknown, ErrUnknown, true},
		"an order that has not come is not rejected": {unseen("order").Cancel(noon, 1), reject("no"), StatusUnknown, ErrUnknown, true},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := c.when(c.given, later)
			if got.Status() != c.want || !errors.Is(err, c.err) {
				t.Errorf("got %q, %v; want %q, %v", got.Status(), err, c.want, c.err)
			}
			if c.still && !cmp.Equal(c.given, got) {
				t.Errorf("changed (-given +got):\n%s", cmp.Diff(c.given, got))
			}
			if !c.still && got.Version != c.given.Version+1 {
				t.Errorf("version %d after %d", got.Version, c.given.Version)
			}
		})
	}
}

func pack(by string) func(Job, time.Time) (Job, error) {
	return func(j Job, at time.Time) (Job, error) { return j.Pack(by, at) }
}

func reject(reason string) func(Job, time.Time) (Job, error) {
	return func(j Job, at time.Time) (Job, error) { return j.Reject(reason, at) }
}

func TestAFactIsNotedOnce(t *testing.T) {
	job := pending().Cancel(noon, 4)
	again := job.Place("bob", nil, later, "another", 9).Cancel(later, 9)
	if diff := cmp.Diff(job, again); diff != "" {
		t.Errorf("changed by what was known (-want +got):\n%s", diff)
	}
	if job.Version != 1 || job.OrderSequence != 4 {
		t.Errorf("got version %d and sequence %d, want 1 and 4", job.Version, job.OrderSequence)
	}
}

// Putting back and dispatching may be told in either order, when they happen at
// about the same time.
func TestABoxThatIsGoneWasNotReturned(t *testing.T) {
	packed := must(pending().Pack("Ada", later))
	for name, job := range map[string]Job{
		"first put back": must(packed.Return(later)).Dispatch(later),
		"first gone":     must(packed.Dispatch(later).Return(later)),
	} {
		if job.Status() != StatusPacked {
			t.Errorf("%s: %s", name, job.Status())
		}
	}
}
