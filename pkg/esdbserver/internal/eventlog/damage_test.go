package eventlog

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/uuid"
)

var storeFiles = []string{fileName, fileName + walSuffix, fileName + shmSuffix}

// fill appends so many times to streams of which all but one have few events.
func fill(t *testing.T, l *Log, appends, events int) {
	t.Helper()
	for i := range appends {
		stream := "long"
		if i%3 == 0 {
			stream = fmt.Sprintf("short-%d", i/30)
		}
		var batch []Proposed
		for j := range events {
			n := i*events + j
			batch = append(batch, Proposed{
				ID: uuid.New(), Type: fmt.Sprintf("type-%d", n%5), JSON: n%2 == 0, Data: bytes.Repeat([]byte{byte(n)}, 1000), Metadata: []byte{byte(n)},
			})
		}
		if _, err := l.Append(t.Context(), stream, Any, batch); err != nil {
			t.Fatal(err)
		}
	}
}

// closedStore makes a store that was closed, and returns its events.
func closedStore(t *testing.T, appends, each int) (dir string, events []*Event) {
	t.Helper()
	dir = t.TempDir()
	l, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	fill(t, l, appends, each)
	events = everything(t, l)
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return dir, events
}

// killedStore makes a store as a killed process leaves it behind: with all that was appended in the write-ahead log.
func killedStore(t *testing.T, appends, each int) (dir string, events []*Event) {
	t.Helper()
	l := open(t, Options{Dir: t.TempDir()})
	fill(t, l, appends, each)
	dir = t.TempDir()
	for _, name := range storeFiles {
		content, err := os.ReadFile(filepath.Join(l.options.Dir, name))
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, name), content, 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir, everything(t, l)
}

func everything(t *testing.T, l *Log) []*Event {
	t.Helper()
	events, err := walkAll(t, l, false)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// walkAll reads all events; after an error it goes on behind the next event that can be read. It returns the first error.
func walkAll(t *testing.T, l *Log, backwards bool) (events []*Event, first error) {
	t.Helper()
	from := int64(0)
	if backwards {
		from = math.MaxInt64
	}
	for {
		page, err := l.ReadAll(t.Context(), from, backwards, 50)
		if err != nil {
			return events, err
		}
		events = append(events, page.Events...)
		if !page.More {
			return events, nil
		}
		from = page.Next
	}
}

func walkStream(t *testing.T, l *Log, stream string) (events []*Event, err error) {
	t.Helper()
	for from := int64(0); ; {
		page, err := l.ReadStream(t.Context(), stream, from, false, 50)
		if err != nil {
			return events, err
		}
		events = append(events, page.Events...)
		if !page.More {
			return events, nil
		}
		from = page.Next
	}
}

func hashes(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	for _, name := range storeFiles[:2] {
		content, err := os.ReadFile(filepath.Join(dir, name))
		if err == nil {
			found[name] = fmt.Sprintf("%x", sha256.Sum256(content))
		}
	}
	return found
}

// edit changes a file of a store in memory and writes it back.
func edit(name string, change func(content []byte) []byte) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		path := filepath.Join(dir, name)
		content, err := os.ReadFile(path)
		if err == nil {
			err = os.WriteFile(path, change(content), 0o600)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

func remove(name string) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		if err := os.Remove(filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
}

func flip(at int) func([]byte) []byte {
	return func(content []byte) []byte {
		content[at] ^= 0x40
		return content
	}
}

func keep(n int) func([]byte) []byte { return func(content []byte) []byte { return content[:n] } }

// frame is where the nth frame of a write-ahead log begins.
func frame(n int) int { return walHeaderSize + n*(walFrameHeader+4096) }

// fromAnother replaces files by those of another store, which was made alike.
func fromAnother(names ...string) func(t *testing.T, dir string) {
	return func(t *testing.T, dir string) {
		t.Helper()
		other, _ := killedStore(t, 60, 1)
		for _, name := range names {
			if err := os.Rename(filepath.Join(other, name), filepath.Join(dir, name)); err != nil {
				t.Fatal(err)
			}
		}
	}
}

func TestDamagedStoreIsRefusedAndLeftAlone(t *testing.T) {
	wal, shm := fileName+walSuffix, fileName+shmSuffix
	for _, test := range []struct {
		name   string
		make   func(t *testing.T, appends, each int) (string, []*Event)
		damage func(t *testing.T, dir string)
		says   string
	}{
		{"a file cut short", closedStore, edit(fileName, keep(5*4096)), "bytes of"},
		{"a file cut in the middle of a page", closedStore, edit(fileName, keep(5*4096+100)), "bytes of"},
		{"a header that says nothing", closedStore, edit(fileName, flip(16)), "damaged"},
		{"another magic", closedStore, edit(fileName, flip(3)), "not a SQLite database"},
		{"version 1", closedStore, edit(fileName, func(content []byte) []byte {
			binary.BigEndian.PutUint32(content[offsetUserVersion:], 1)
			return content
		}), "version 1 and this program speaks version 2"},
		{"no root page", closedStore, edit(fileName, func(content []byte) []byte {
			clear(content[100:4096])
			return content
		}), "damaged"},
		{"the last events lost", closedStore, func(t *testing.T, dir string) {
			t.Helper()
			alter(t, dir, `DELETE FROM event WHERE position = (SELECT position FROM event ORDER BY position DESC LIMIT 1 OFFSET 1)`)
		}, "is missing"},
		{"an event of the last ones changed", closedStore, func(t *testing.T, dir string) {
			t.Helper()
			alter(t, dir, `UPDATE event SET record = x'00' WHERE position = (SELECT max(position) FROM event)`)
		}, "not what was written"},
		{"the write-ahead log gone", killedStore, remove(wal), "holds 0 pages"},
		{"the write-ahead log empty", killedStore, edit(wal, keep(0)), "holds 0 pages"},
		{"the write-ahead log cut between frames", killedStore, edit(wal, keep(frame(100))), "that were confirmed"},
		{"the write-ahead log cut within a frame", killedStore, edit(wal, keep(frame(100)+17)), "that were confirmed"},
		{"the header of the write-ahead log", killedStore, edit(wal, flip(9)), "no valid header"},
		{"a byte in the middle of the write-ahead log", killedStore, edit(wal, flip(frame(50)+2000)), "goes on behind it"},
		{"the same without the index to it", killedStore, func(t *testing.T, dir string) {
			t.Helper()
			remove(shm)(t, dir)
			edit(wal, flip(frame(50)+2000))(t, dir)
		}, "goes on behind it"},
		{"a salt in the write-ahead log", killedStore, edit(wal, flip(frame(50)+8)), "goes on behind it"},
		{"the write-ahead log of another store", killedStore, fromAnother(wal), "belongs to another store"},
		{"the same with its index", killedStore, fromAnother(wal, shm), "belongs to another store"},
		{"the file of another store", killedStore, fromAnother(fileName), "belongs to another store"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir, _ := test.make(t, 60, 1)
			test.damage(t, dir)
			before := hashes(t, dir)
			for range 2 { // trying again makes it no better
				l, err := Open(Options{Dir: dir})
				if err == nil {
					l.Close()
					t.Fatal("opened")
				}
				for _, text := range []string{test.says, dir} {
					if !strings.Contains(err.Error(), text) {
						t.Errorf("%q does not say %q", err, text)
					}
				}
				if strings.Contains(err.Error(), "\n") {
					t.Errorf("more than one line: %q", err)
				}
				if diff := cmp.Diff(before, hashes(t, dir)); diff != "" {
					t.Errorf("files were changed (-before +after):\n%s", diff)
				}
			}
		})
	}
}

// alter changes a closed store behind its back.
func alter(t *testing.T, dir, statement string) {
	t.Helper()
	c, err := connect(dataSource(filepath.Join(dir, fileName), accessWrite))
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	if err := c.script(statement); err != nil {
		t.Fatal(err)
	}
}

func TestWriteCutShortByACrashIsForgottenAndNothingElse(t *testing.T) {
	for _, cut := range []int{1, walFrameHeader, 4096, walFrameHeader + 4096} {
		dir, events := killedStore(t, 60, 1)
		remove(fileName+shmSuffix)(t, dir) // as after a power failure: what it says is not on the disk
		edit(fileName+walSuffix, func(content []byte) []byte { return content[:len(content)-cut] })(t, dir)
		l := open(t, Options{Dir: dir})
		if diff := cmp.Diff(events[:len(events)-1], everything(t, l), cmp.AllowUnexported(Event{})); diff != "" {
			t.Errorf("%d bytes cut off (-want +got):\n%s", cut, diff)
		}
	}
}

// Whatever byte of a file changes, a reader gets the events that were written, or an error: never others, and never fewer
// without a word.
func TestDamageIsNeverHandedOut(t *testing.T) {
	dir, events := closedStore(t, 250, 6)
	whole, err := os.ReadFile(filepath.Join(dir, fileName))
	if err != nil {
		t.Fatal(err)
	}
	written, inStream := map[int64]*Event{}, map[string]int{}
	for _, e := range events {
		written[e.Position] = e
		inStream[e.Stream]++
	}
	random := rand.New(rand.NewPCG(1, 2))
	outcomes := map[string]int{}
	for range rounds(25, 1000) {
		at, bit := random.IntN(len(whole)), byte(1)<<random.IntN(8)
		if random.IntN(3) > 0 {
			at = random.IntN(max(len(whole)-examineLeast*5/4, 1)) // where opening does not look
		}
		damaged := bytes.Clone(whole)
		damaged[at] ^= bit
		if err := os.WriteFile(filepath.Join(dir, fileName), damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		l, err := Open(Options{Dir: dir})
		if err != nil {
			outcomes["refused"]++
			continue
		}
		outcome := "unharmed"
		check := func(what string, got []*Event, want int, err error) {
			for _, e := range got {
				if !reflect.DeepEqual(written[e.Position], e) {
					t.Errorf("byte %d, %s: other data at %d", at, what, e.Position)
				}
			}
			switch {
			case err == nil && len(got) != want:
				t.Errorf("byte %d, %s: %d events instead of %d and no error", at, what, len(got), want)
			case err != nil && !errors.Is(err, ErrDamaged):
				t.Errorf("byte %d, %s: %v", at, what, err)
			case err != nil:
				outcome = "noticed in reading"
			}
		}
		forwards, err := walkAll(t, l, false)
		check("forwards", forwards, len(events), err)
		backwards, err := walkAll(t, l, true)
		check("backwards", backwards, len(events), err)
		for stream, want := range inStream {
			got, err := walkStream(t, l, stream)
			check(stream, got, want, err)
		}
		outcomes[outcome]++
		if err := l.Close(); err != nil {
			t.Errorf("byte %d: close: %v", at, err)
		}
		for _, name := range storeFiles[1:] {
			_ = os.Remove(filepath.Join(dir, name))
		}
	}
	t.Logf("outcomes: %v", outcomes)
	if outcomes["noticed in reading"] == 0 || outcomes["refused"] == 0 {
		t.Errorf("the damage did not reach the events: %v", outcomes)
	}
}

// rounds is how often to do something, the second number when TEST_LONG=1 asks for more.
func rounds(usual, long int) int {
	if os.Getenv("TEST_LONG") == "1" {
		return long
	}
	return usual
}

func TestDamageLeavesTheRestReadable(t *testing.T) {
	dir, events := closedStore(t, 90, 40) // more than is looked at in opening
	victim := events[2000]
	alter(t, dir, fmt.Sprintf(`UPDATE event SET record = CAST(substr(record, 1, 40) || zeroblob(length(record) - 40) AS BLOB) WHERE position = %d`, victim.Position))
	l := open(t, Options{Dir: dir})

	before, err := walkAll(t, l, false)
	if err == nil || !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), fmt.Sprint(victim.Position)) {
		t.Errorf("the error does not name the position %d: %v", victim.Position, err)
	}
	if len(before) != 2000 {
		t.Errorf("%d events before the damage, want 2000", len(before))
	}
	page, err := l.ReadAll(t.Context(), victim.Position+1, false, 10)
	if err != nil || page.Events[0].Position != events[2001].Position {
		t.Errorf("behind the damage: %v", err)
	}
	behind, err := walkAll(t, l, true)
	if len(behind) != len(events)-2001 || !errors.Is(err, ErrDamaged) {
		t.Errorf("backwards: %d events, %v", len(behind), err)
	}

	// Writing to the damaged place's stream concerns a retry of that very append, and no neighbour.
	if _, err := l.Append(t.Context(), victim.Stream, Expected(victim.Revision-1), []Proposed{{ID: victim.ID, Type: victim.Type}}); !errors.Is(err, ErrDamaged) {
		t.Errorf("an append that must be compared with the damaged event: %v", err)
	}
	if _, err := l.Append(t.Context(), victim.Stream, Any, one("x")); err != nil {
		t.Errorf("an append behind: %v", err)
	}
	if err := l.Writable(); err != nil {
		t.Error(err)
	}
}
