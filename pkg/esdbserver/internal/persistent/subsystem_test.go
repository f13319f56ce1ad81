package persistent

import (
	"context"
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"

	"orderflow/pkg/esdbserver/internal/eventlog"
)

// names are the groups that a subsystem runs.
func (w *world) names() []string {
	w.t.Helper()
	infos, err := w.List(context.Background(), "")
	if err != nil {
		w.t.Fatalf("list: %v", err)
	}
	names := []string{}
	for _, info := range infos {
		names = append(names, info.Definition.Group)
	}
	return names
}

func TestRestartThatFailsLosesNoGroup(t *testing.T) {
	w := newWorld(t)
	defer w.close()
	w.create(Definition{Stream: "s", Group: "old", Settings: usualSettings()})
	canceled, cancel := context.WithCancel(context.Background())
	cancel()
	for range 100 { // it may be done before it notices
		if err := w.Restart(canceled); err != nil {
			break
		}
	}
	w.create(Definition{Stream: "s", Group: "young", Settings: usualSettings()})
	w.Close()
	w.open()
	if diff := cmp.Diff([]string{"old", "young"}, w.names()); diff != "" {
		t.Errorf("after the next start (-want +got):\n%s", diff)
	}
}

// Administrators can write to the stream of definitions. The test's own check for goroutines says whether all have ended.
func TestGroupThatIsDefinedTwiceRunsOnce(t *testing.T) {
	w := newWorld(t)
	defer w.close()
	entry := entryOf(Definition{Stream: "s", Group: "g", Settings: usualSettings()})
	data, err := json.Marshal(config{Version: "2", Entries: []configEntry{entry, entry}})
	if err != nil {
		t.Fatal(err)
	}
	written := []eventlog.Proposed{{ID: uuid.New(), Type: typeConfig, JSON: true, Data: data}}
	if _, err := w.log.Append(context.Background(), configStream, eventlog.Any, written); err != nil {
		t.Fatal(err)
	}
	w.Close()
	w.open()
	if diff := cmp.Diff([]string{"g"}, w.names()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
