package sqlitebus_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"orderflow/pkg/eventbus/sqlitebus"
)

// publishers is how many processes share the file in BenchmarkProcesses.
const publishers = 3

// BenchmarkProcesses has several processes publish to one file, one event after
// the other each, and compares with processes that do the same with the driver
// alone, which asks for the write lock with SQLite's own busy handler.
func BenchmarkProcesses(b *testing.B) {
	totals := map[string]float64{}
	slowest := map[string]time.Duration{}
	for b.Loop() {
		for _, role := range []string{"measured", "measured-raw"} {
			path := newPath(b)
			if role == "measured" {
				if err := open(b, path).Close(within(b)); err != nil {
					b.Fatal(err)
				}
			} else {
				db := rawFile(path)
				if _, err := db.Exec(rawTable); err != nil {
					b.Fatal(err)
				}
				db.Close()
			}
			var children []*child
			for range publishers {
				children = append(children, startChild(b, role, path))
			}
			for _, c := range children {
				for c.next(b) != "done" {
					rate, err := strconv.ParseFloat(c.next(b), 64)
					if err != nil {
						b.Fatal(err)
					}
					totals[role] += rate
					p99, err := time.ParseDuration(c.next(b))
					if err != nil {
						b.Fatal(err)
					}
					slowest[role] += p99
				}
				c.kill(b)
			}
		}
	}
	n := float64(b.N)
	b.ReportMetric(totals["measured"]/n, "publish/s")
	b.ReportMetric(totals["measured-raw"]/n, "raw-publish/s")
	b.ReportMetric(totals["measured"]/totals["measured-raw"], "ratio")
	b.ReportMetric(slowest["measured"].Seconds()*1000/n/publishers, "p99-ms")
	b.ReportMetric(slowest["measured-raw"].Seconds()*1000/n/publishers, "raw-p99-ms")
	b.ReportMetric(0, "ns/op")
}

const rawTable = `CREATE TABLE raw (seq INTEGER PRIMARY KEY, id TEXT, source TEXT, type TEXT, subject TEXT, time TEXT,
	contenttype TEXT, correlation TEXT, causation TEXT, trace TEXT, sequence INTEGER, data BLOB)`

const rawRow = `INSERT INTO raw (id, source, type, subject, time, contenttype, correlation, causation, trace, sequence, data)
	VALUES (?,?,?,?,?,?,?,?,?,?,?)`

// rawFile opens a database as carefully as the bus does.
func rawFile(path string) *sql.DB {
	db, err := sql.Open("sqlite", "file:"+path+
		"?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)&_pragma=busy_timeout(20000)")
	if err != nil {
		panic(err)
	}
	db.SetMaxOpenConns(1)
	return db
}

// childIsMeasured publishes for a second or two and says how fast it was.
func childIsMeasured(raw bool) {
	ctx := context.Background()
	var publish func(n int) error
	if raw {
		db := rawFile(os.Getenv(childPath))
		publish = func(n int) error {
			e := placed(n)
			_, err := db.ExecContext(ctx, rawRow, e.ID, e.Source, e.Type, e.Subject, e.Time.String(), "", "", "", "", e.Sequence, e.Data)
			return err
		}
	} else {
		bus, err := sqlitebus.Open(ctx, sqlitebus.Config{Path: os.Getenv(childPath)})
		if err != nil {
			panic(err)
		}
		publish = func(n int) error { return bus.Publish(ctx, placed(n)) }
	}
	var took []time.Duration
	began := time.Now()
	for time.Since(began) < 1500*time.Millisecond {
		start := time.Now()
		if err := publish(len(took)); err != nil {
			panic(err)
		}
		took = append(took, time.Since(start))
	}
	slices.Sort(took)
	fmt.Printf("measured\n%f\n%s\ndone\n", float64(len(took))/time.Since(began).Seconds(), took[len(took)*99/100])
	select {}
}
