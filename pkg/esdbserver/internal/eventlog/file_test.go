package eventlog

import (
	"bytes"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestFileThatIsNotOursIsRefusedAndLeftAlone(t *testing.T) {
	sqlFile := func(statements string) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			t.Helper()
			db, err := sql.Open("sqlite", path)
			if err != nil {
				t.Fatal(err)
			}
			defer db.Close()
			if _, err := db.Exec(statements); err != nil {
				t.Fatal(err)
			}
		}
	}
	bytesFile := func(content []byte) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			t.Helper()
			if err := os.WriteFile(path, content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	ours := fmt.Sprintf("PRAGMA application_id = %d;", applicationID)
	for _, test := range []struct {
		name string
		make func(t *testing.T, path string)
		says string
	}{
		{"text", bytesFile(bytes.Repeat([]byte("hello\n"), 200)), "damaged or not a SQLite database"},
		{"an empty file", bytesFile(nil), "damaged or not a SQLite database"},
		{"a database of another program", sqlFile(`CREATE TABLE t (a); INSERT INTO t VALUES (1)`), "database of another program"},
		{"a later version", sqlFile(ours + `PRAGMA user_version = 99; CREATE TABLE t (a)`), "version 99"},
		{"our marks and no tables", sqlFile(ours + `PRAGMA user_version = 2; CREATE TABLE t (a)`), "no such table"},
		{"a header and nothing behind it", func(t *testing.T, path string) {
			t.Helper()
			sqlFile(ours+`PRAGMA user_version = 2; CREATE TABLE event (position); CREATE TABLE stream (a)`)(t, path)
			if err := os.Truncate(path, 4096); err != nil {
				t.Fatal(err)
			}
		}, "damaged"},
	} {
		t.Run(test.name, func(t *testing.T) {
			dir := t.TempDir()
			path := filepath.Join(dir, fileName)
			test.make(t, path)
			before, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
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
			after, err := os.ReadFile(path)
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(test.says, "another program") && !bytes.Equal(before, after) {
				t.Error("the file was changed")
			}
		})
	}
}

func TestDataDirectoryBelongsToOneLogAtATime(t *testing.T) {
	dir := t.TempDir()
	first, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	_, err = Open(Options{Dir: dir})
	if err == nil || !strings.Contains(err.Error(), dir) || !strings.Contains(err.Error(), "another server uses it") {
		t.Errorf("second log on the directory: %v", err)
	}
	if err := first.Close(); err != nil {
		t.Fatal(err)
	}
	second, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatalf("after the first was closed: %v", err)
	}
	if err := second.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestCrashWhileCreatingLeavesNothingInTheWay(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{fileName + ".new", fileName + ".new-journal"} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte("half"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	l, err := Open(Options{Dir: dir})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

func TestFileInPlaceOfTheDirectoryIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "data")
	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{path, filepath.Join(path, "below")} {
		l, err := Open(Options{Dir: dir})
		if err == nil {
			l.Close()
			t.Fatalf("opened %s", dir)
		}
		if !strings.Contains(err.Error(), dir) || strings.Contains(err.Error(), "\n") {
			t.Errorf("%q is not one line that names the directory", err)
		}
	}
	if content, err := os.ReadFile(path); err != nil || string(content) != "precious" {
		t.Errorf("the file now holds %q, %v", content, err)
	}
}
