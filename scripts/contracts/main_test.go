package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const here = "../../contracts"

// copied returns a copy of the contracts of this tree.
func copied(t *testing.T) string {
	t.Helper()
	folder := t.TempDir()
	if err := os.CopyFS(folder, os.DirFS(here)); err != nil {
		t.Fatal(err)
	}
	return folder
}

func edit(t *testing.T, folder, name, old, replacement string) {
	t.Helper()
	path := filepath.Join(folder, name)
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	edited := strings.Replace(string(text), old, replacement, 1)
	if edited == string(text) {
		t.Fatalf("%s has no %s", name, old)
	}
	if err := os.WriteFile(path, []byte(edited), 0o600); err != nil {
		t.Fatal(err)
	}
}

const (
	placed = "order.events.placed.v2.schema.json"
	added  = `"properties": {"coupon": {"type": "string"},`
)

func TestTheContractsOfThisTreeKeepWhatIsRecorded(t *testing.T) {
	if err := compare(&bytes.Buffer{}, here, here, false); err != nil {
		t.Error(err)
	}
}

func TestWhatHasGrownIsRecordedAndWhatIsBrokenIsNot(t *testing.T) {
	folder := copied(t)
	edit(t, folder, placed, `"properties": {`, added)
	if err := compare(&bytes.Buffer{}, folder, "", false); err == nil || !strings.Contains(err.Error(), "make contracts-record") {
		t.Errorf("grown and not recorded: %v", err)
	}
	if err := compare(&bytes.Buffer{}, folder, "", true); err != nil {
		t.Errorf("recording: %v", err)
	}
	if err := compare(&bytes.Buffer{}, folder, here, false); err != nil {
		t.Errorf("grown and recorded: %v", err)
	}
	edit(t, folder, placed, added, `"properties": {`) // what was recorded is a promise
	for _, record := range []bool{false, true} {
		err := compare(&bytes.Buffer{}, folder, "", record)
		if err == nil || !strings.Contains(err.Error(), `order.events.placed.v2: "coupon" is removed`) {
			t.Errorf("record %v: %v", record, err)
		}
	}
}

// A record that was changed together with the contract does not help.
func TestTheBaseKnowsWhatARecordWasMadeToForget(t *testing.T) {
	folder := copied(t)
	edit(t, folder, placed, `"currency": {`, `"money": {`)
	edit(t, folder, placed, `"currency",`, `"money",`)
	if err := os.Remove(filepath.Join(folder, "released", strings.Replace(placed, ".schema", "", 1))); err != nil {
		t.Fatal(err)
	}
	if err := compare(&bytes.Buffer{}, folder, "", true); err != nil {
		t.Fatal(err)
	}
	err := compare(&bytes.Buffer{}, folder, here, false)
	if err == nil || !strings.Contains(err.Error(), `"currency" is removed`) || !strings.Contains(err.Error(), `"money" is newly required`) {
		t.Error(err)
	}
}

func TestNothingToCompareWithIsAnError(t *testing.T) {
	for _, base := range []string{t.TempDir(), "nowhere"} {
		if err := compare(&bytes.Buffer{}, here, base, false); err == nil {
			t.Errorf("compared with %s", base)
		}
	}
}
