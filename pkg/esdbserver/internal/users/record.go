package users

import (
	"context"
	"encoding/json"
	"fmt"
	"math"

	"github.com/google/uuid"

	"orderflow/pkg/esdbserver/internal/eventlog"
)

// Streams and event types of users.
const (
	listStream   = "$users"
	streamPrefix = "$user-"

	typeListed  = "$User"
	typeCreated = "$UserCreated"
	typeUpdated = "$UserUpdated"
)

// record is a user as it is stored, in the words of the original server. The name is that of the stream.
type record struct {
	LoginName string   `json:"loginName"`
	FullName  string   `json:"fullName"`
	Groups    []string `json:"groups"`
	Disabled  bool     `json:"disabled"`
	secret
}

// load returns the user of a name, or nil when there is none or it was deleted.
func (d *Directory) load(ctx context.Context, name string) (*record, error) {
	page, err := d.log.ReadStream(ctx, streamPrefix+name, math.MaxInt64, true, 1)
	if err != nil || page.Stream.Tombstoned() || len(page.Events) == 0 {
		return nil, err
	}
	r := &record{}
	if err := json.Unmarshal(page.Events[0].Data, r); err != nil {
		return nil, fmt.Errorf("user %q: %w", name, err)
	}
	return r, nil
}

// event is the event that makes the record the user.
func (r record) event(eventType string) (eventlog.Proposed, error) {
	data, err := json.Marshal(r)
	return eventlog.Proposed{ID: uuid.New(), Type: eventType, JSON: true, Data: data}, err
}

// list is the content of $users: the names of the users that every server has. Its ids are always the same, so that
// writing it again writes nothing.
func list(names []string) []eventlog.Proposed {
	var events []eventlog.Proposed
	for _, name := range names {
		events = append(events, eventlog.Proposed{
			ID: uuid.NewSHA1(uuid.NameSpaceOID, []byte(listStream+" "+name)), Type: typeListed, Data: []byte(name),
		})
	}
	return events
}
