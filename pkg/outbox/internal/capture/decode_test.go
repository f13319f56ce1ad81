package capture

import (
	"encoding/binary"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pglogrepl"
)

// inserted is the message of one row; nil is NULL.
func inserted(relation uint32, values ...[]byte) []byte {
	message := binary.BigEndian.AppendUint32([]byte{'I'}, relation)
	message = binary.BigEndian.AppendUint16(append(message, 'N'), uint16(len(values)))
	for _, value := range values {
		if value == nil {
			message = append(message, 'n')
			continue
		}
		message = binary.BigEndian.AppendUint32(append(message, 't'), uint32(len(value)))
		message = append(message, value...)
	}
	return message
}

func newDecoder(t *testing.T, names ...string) *decoder {
	t.Helper()
	d := &decoder{schema: "public", table: "outbox", columns: []string{"seq", "data"}}
	relation := &pglogrepl.RelationMessage{RelationID: 7, Namespace: "public", RelationName: "outbox"}
	for _, name := range names {
		relation.Columns = append(relation.Columns, &pglogrepl.RelationMessageColumn{Name: name})
	}
	if err := d.learn(relation); err != nil {
		t.Fatal(err)
	}
	return d
}

func TestColumnsAreFoundByNameAfterAMigrationMovedThem(t *testing.T) {
	d := newDecoder(t, "new", "data", "gone", "seq")
	message := inserted(7, []byte("x"), []byte("body"), nil, []byte("12"))
	change, ok, err := d.decode(message)
	if err != nil || !ok {
		t.Fatal(ok, err)
	}
	if diff := cmp.Diff([][]byte{[]byte("12"), []byte("body")}, change.Row); diff != "" {
		t.Error(diff)
	}
	clear(message) // the connection uses its buffer again
	if string(change.Row[1]) != "body" {
		t.Error("the row changed under its reader")
	}
}

func TestARowThatIsCutShortIsAnError(t *testing.T) {
	d := newDecoder(t, "seq", "data")
	whole := inserted(7, []byte("12"), []byte("body"))
	for length := range whole {
		if _, ok, err := d.decode(slices.Clone(whole[:length])); ok || err == nil {
			t.Errorf("%d bytes of %d were taken for a row", length, len(whole))
		}
	}
	if _, _, err := d.decode(inserted(8, []byte("12"), []byte("body"))); err == nil {
		t.Error("a row of another table was taken")
	}
}

func TestAPublicationOfOtherTablesIsRefused(t *testing.T) {
	d := newDecoder(t, "seq", "data")
	if err := d.learn(&pglogrepl.RelationMessage{Namespace: "public", RelationName: "secrets"}); err == nil {
		t.Error("another table was taken for the outbox")
	}
}

func TestNamesOfSlotsAreValidAndDifferent(t *testing.T) {
	seen := map[string]bool{}
	for _, names := range [][3]string{
		{"packing", "public", "outbox"},
		{"packing_public", "outbox", "outbox"},
		{"Packing", "public", "outbox"},
		{"päcking", "public", "outbox"},
		{strings.Repeat("long", 20), "public", "outbox"},
		{strings.Repeat("long", 20), "public", "outbox2"},
		{`a"; DROP`, "b c", "d"},
	} {
		name := slotName(names[0], names[1], names[2])
		if strings.Trim(name, "abcdefghijklmnopqrstuvwxyz0123456789_") != "" || len(name) > 63 {
			t.Errorf("%q is no name of a slot", name)
		}
		if seen[name] {
			t.Errorf("%q is taken", name)
		}
		seen[name] = true
	}
}
