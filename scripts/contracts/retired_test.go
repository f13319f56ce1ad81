package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestATypeIsRetiredAfterItsReadersHaveLeft(t *testing.T) {
	today := time.Date(2026, 3, 14, 15, 9, 26, 0, time.UTC)
	write := func(t *testing.T, readers, retired string) string {
		t.Helper()
		folder := t.TempDir()
		for name, text := range map[string]string{"readers.json": readers, "retired.json": retired} {
			if err := os.WriteFile(filepath.Join(folder, name), []byte(text), 0o600); err != nil && text != "" {
				t.Fatal(err)
			}
		}
		return folder
	}
	const read, unread = `{"a.events.b.v1": ["crm", "packing"]}`, `{"a.events.b.v1": []}`
	for name, test := range map[string]struct {
		readers, retired string
		before           string // readers.json of the base
		says             string
	}{
		"nothing is":                 {read, `{}`, read, ""},
		"rested":                     {unread, `{"a.events.b.v1": "2026-02-12"}`, unread, ""},
		"a day too early":            {unread, `{"a.events.b.v1": "2026-02-13"}`, unread, "a.events.b.v1 has had a reader until 2026-02-13: it may be retired from 2026-03-15 on"},
		"while it is read":           {read, `{"a.events.b.v1": "2026-02-12"}`, read, "a.events.b.v1 is read by crm, packing"},
		"with its last reader":       {unread, `{"a.events.b.v1": "2026-02-12"}`, read, "a.events.b.v1 was read by crm, packing until this change: let it rest for 30 days first"},
		"on a day that there is not": {unread, `{"a.events.b.v1": "yesterday"}`, unread, `"yesterday" is no day`},
		"no JSON":                    {unread, `[]`, unread, "retired.json"},
	} {
		t.Run(name, func(t *testing.T) {
			err := retired(write(t, test.readers, test.retired), write(t, test.before, `{}`), today)
			if test.says == "" && err != nil || test.says != "" && (err == nil || !strings.Contains(err.Error(), test.says)) {
				t.Errorf("%v, want %q", err, test.says)
			}
		})
	}
	t.Run("already before", func(t *testing.T) {
		folder := write(t, unread, `{"a.events.b.v1": "2026-02-12"}`)
		if err := retired(folder, folder, today); err != nil {
			t.Error(err)
		}
	})
}
