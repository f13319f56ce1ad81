package datadir

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

const (
	logName        = "orderflow.log"
	pidName        = "orderflow.pid"
	stateName      = "orderflow.json"
	busName        = "bus.db"
	eventStoreName = "eventstore"
)

// ErrForeign says that a folder holds something that is not of this system.
var ErrForeign = errors.New("holds something else")

// Dir is a data directory, which need not exist yet.
type Dir struct {
	path     string
	services []string
}

// New returns the data directory at path for services of these names.
func New(path string, services []string) Dir { return Dir{path: path, services: services} }

// String is the path of the directory.
func (d Dir) String() string { return d.path }

// Log is the path of the log of a system that runs in the background.
func (d Dir) Log() string { return filepath.Join(d.path, logName) }

// Bus is the path of the event bus's file.
func (d Dir) Bus() string { return filepath.Join(d.path, busName) }

// EventStore is the path of the event store's folder.
func (d Dir) EventStore() string { return filepath.Join(d.path, eventStoreName) }

// Database is the path of a service's database.
func (d Dir) Database(service string) string { return filepath.Join(d.path, service+".db") }

// Check returns [ErrForeign] when the folder holds anything that is not of this system. A folder that does not exist
// is fine.
func (d Dir) Check() error {
	entries, err := os.ReadDir(d.path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	for _, entry := range entries {
		if !d.ours(entry.Name()) {
			return fmt.Errorf("%s %w than data of orderflow (%s): name another folder with --data", d.path, ErrForeign, entry.Name())
		}
	}
	return nil
}

// ours reports whether a name in the folder is one that this system uses. Databases come with files beside them, such
// as order.db-wal, and a rebuild has one of its own.
func (d Dir) ours(name string) bool {
	if slices.Contains([]string{logName, pidName, stateName, stateName + ".tmp", eventStoreName}, name) {
		return true
	}
	database, _, _ := strings.Cut(name, "-")
	database = strings.TrimSuffix(database, ".rebuild")
	base, found := strings.CutSuffix(database, ".db")
	return found && (database == busName || slices.Contains(d.services, base))
}

// Remove removes the directory with everything in it. It refuses with [ErrForeign] when it is not only ours, and with
// [ErrInUse] while a system runs on it. A directory that does not exist is no error.
func (d Dir) Remove() error {
	if _, err := os.Stat(d.path); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	claim, err := d.Claim()
	if err != nil {
		return err
	}
	defer claim.Release()
	if err := os.RemoveAll(d.path); err != nil {
		return fmt.Errorf("remove data folder: %w", err)
	}
	return nil
}
