package fulfilment

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/google/uuid"

	"orderflow/pkg/es"
)

// Category is that of the streams of processes.
const Category = "fulfilment"

// eventV1 is the stored form of every event.
type eventV1 struct {
	State      State       `json:"state"`
	Deadline   *deadlineV1 `json:"deadline,omitempty"`
	CustomerID string      `json:"customerId,omitempty"`
	Missed     *deadlineV1 `json:"missed,omitempty"`
	Reason     string      `json:"reason,omitempty"`
	At         time.Time   `json:"at"`
}

type deadlineV1 struct {
	Kind  Trigger   `json:"kind"`
	DueAt time.Time `json:"dueAt"`
}

// Codec writes and reads the events of processes. It has no state.
type Codec struct{}

// Encode writes an event.
func (Codec) Encode(_ context.Context, _ uuid.UUID, e Event) (es.Encoded, error) {
	text, err := json.Marshal(eventV1{e.State, writeDeadline(e.Deadline), e.CustomerID, writeDeadline(e.Missed), e.Reason, e.At})
	return es.Encoded{Type: string(e.Name), Version: 1, Data: text}, err
}

// schemas is every version that was ever written.
var schemas = [...]es.Schema{
	{Type: string(Begun)},
	{Type: string(Packed)},
	{Type: string(Delayed)},
	{Type: string(Expired)},
	{Type: string(Cancelled)},
	{Type: string(ReturnRequested)},
	{Type: string(Returned)},
	{Type: string(Completed)},
}

// Schemas is every version that was ever written, for a test to hold against
// the goldens.
func Schemas() es.Schemas { return schemas[:] }

// Decode reads every version ever written.
func (Codec) Decode(_ context.Context, r es.Recorded) ([]Event, error) {
	current, err := Schemas().Upcast(r)
	if err != nil {
		return nil, err
	}
	events := make([]Event, len(current))
	for i, c := range current {
		var data eventV1
		if err := json.Unmarshal(c.Data, &data); err != nil {
			return nil, fmt.Errorf("%s version %d: %w", c.Type, c.Version, err)
		}
		if data.State == "" || data.At.IsZero() { // {} is JSON, too: a process that has not begun
			return nil, fmt.Errorf("%s version %d: state or time missing", c.Type, c.Version)
		}
		events[i] = Event{
			Name: Name(c.Type), State: data.State, Deadline: readDeadline(data.Deadline),
			CustomerID: data.CustomerID, Missed: readDeadline(data.Missed), Reason: data.Reason, At: data.At,
		}
	}
	return events, nil
}

func writeDeadline(d Deadline) *deadlineV1 {
	if d == (Deadline{}) {
		return nil
	}
	return &deadlineV1{d.Kind, d.DueAt}
}

func readDeadline(d *deadlineV1) Deadline {
	if d == nil {
		return Deadline{}
	}
	return Deadline{d.Kind, d.DueAt}
}
