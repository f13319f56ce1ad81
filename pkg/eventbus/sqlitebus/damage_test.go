package sqlitebus_test

import (
	"bytes"
	"os"
	"strings"
	"testing"

	"orderflow/pkg/eventbus/sqlitebus"
)

// Whatever part of the file is damaged, whoever operates it is told which file
// it is, in one line, and nothing is handed out that was not published.
func TestDamageIsToldAndNothingWrongIsHandedOut(t *testing.T) {
	const page, count = 4096, 400
	for name, spoil := range map[string]func(file []byte) []byte{
		"the first page": func(file []byte) []byte { return append(bytes.Repeat([]byte{0x55}, page), file[page:]...) },
		"the header":     func(file []byte) []byte { return append([]byte("SQLite format 4\x00"), file[16:]...) },
		"all but the first page": func(file []byte) []byte {
			return append(bytes.Clone(file[:page]), bytes.Repeat([]byte{0xa5}, len(file)-page)...)
		},
		"the end is missing": func(file []byte) []byte { return file[:len(file)/2/page*page] },
		"zeros from the middle on": func(file []byte) []byte {
			return append(bytes.Clone(file[:len(file)/3]), make([]byte, len(file)-len(file)/3)...)
		},
	} {
		t.Run(name, func(t *testing.T) {
			path := newPath(t)
			bus := open(t, path)
			declare(t, bus, crm(10))
			for n := range count {
				e := placed(n)
				e.Data = bytes.Repeat([]byte{byte(n)}, 500)
				publish(t, bus, e)
			}
			if err := bus.Close(within(t)); err != nil {
				t.Fatal(err)
			}
			file, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(path, spoil(file), 0o600); err != nil {
				t.Fatal(err)
			}
			var got received
			told := tryDamaged(t, path, &got)
			if told == nil || !strings.Contains(told.Error(), path) || strings.Contains(told.Error(), "\n") {
				t.Errorf("told %q, want one line that names the file", told)
			}
			for _, d := range got.all() {
				n := int(d.Event.Sequence)
				if d.Malformed == nil && (d.Event.ID != placed(n).ID || !bytes.Equal(d.Event.Data, bytes.Repeat([]byte{byte(n)}, 500))) {
					t.Errorf("handed out %+v", d.Event)
				}
			}
		})
	}
}

// A page of the file that is lost in a way SQLite cannot see takes messages with
// it whose deliveries are still there. To go on with the next one would be to
// lose an event without a word.
func TestAMessageThatIsMissingIsNotSkipped(t *testing.T) {
	path := newPath(t)
	bus := closing(t, open(t, path))
	declare(t, bus, crm(1))
	publish(t, bus, placed(0), placed(1), placed(2))
	db := plain(t, path)
	defer db.Close()
	if _, err := db.Exec(`DELETE FROM message WHERE id = ?`, placed(1).ID); err != nil {
		t.Fatal(err)
	}
	var got received
	s := subscribe(t, bus, crm(1), got.handle)
	eventually(t, "it is told", func() bool { return s.Ready() != nil })
	if err := s.Ready(); !strings.Contains(err.Error(), "missing") || !strings.Contains(err.Error(), path) {
		t.Errorf("told %v", err)
	}
	for _, d := range got.all() {
		if d.Event.ID != placed(0).ID {
			t.Errorf("%s was handed out", d.Event.ID)
		}
	}
}

// tryDamaged opens the file and consumes, and returns the first complaint.
func tryDamaged(t *testing.T, path string, got *received) error {
	t.Helper()
	bus, err := sqlitebus.Open(t.Context(), sqlitebus.Config{Path: path})
	if err != nil {
		return err
	}
	defer bus.Close(within(t))
	s, err := bus.Subscribe(within(t), crm(10), got.handle)
	if err != nil {
		return err
	}
	var told error
	eventually(t, "it is told", func() bool {
		told = s.Ready()
		return told != nil
	})
	return told
}
