package snapshot_test

import (
	"testing"

	"pgregory.net/rapid"

	"orderflow/pkg/cause"
	"orderflow/pkg/es"
	"orderflow/pkg/sqldb/sqldbtest"
)

// TestSnapshotsChangeNothingWhateverHappensToThem lets several programs, with
// snapshots of different versions at different distances and one without, write
// to one stream in any order, repeats commands from any time, and deletes,
// damages and puts back snapshots in between. At every cut every program loads
// what replaying the events gives, and every command has counted once.
func TestSnapshotsChangeNothingWhateverHappensToThem(t *testing.T) {
	each(t, func(t *testing.T, w *world) {
		rapid.Check(t, func(r *rapid.T) {
			id := cause.NewID()
			programs := []*repository{w.plain, w.program(1, 2), w.program(1, 5), w.program(2, 3)}
			var done []cause.Cause
			var sum int
			var old []es.Snapshot
			for range rapid.IntRange(1, 12).Draw(r, "steps") {
				program := rapid.SampledFrom(programs).Draw(r, "program")
				switch rapid.SampledFrom([]string{"add", "add", "add", "repeat", "delete", "damage", "keep", "put back", "load"}).Draw(r, "step") {
				case "add":
					c, n := command(), rapid.IntRange(1, 9).Draw(r, "n")
					events := rapid.IntRange(1, 4).Draw(r, "events")
					_, _, err := program.Update(within(t), id, c, es.Precondition{}, func(tally) ([]added, error) {
						list := make([]added, events)
						for i := range list {
							list[i] = added{n}
						}
						return list, nil
					})
					if err != nil {
						r.Fatal(err)
					}
					done, sum = append(done, c), sum+n*events
				case "repeat":
					if len(done) > 0 {
						again := rapid.SampledFrom(done).Draw(r, "again")
						if _, _, err := program.Update(within(t), id, again, es.Precondition{}, add(1000)); err != nil {
							r.Fatal(err)
						}
					}
				case "delete":
					sqldbtest.Exec(t, w.db, `DELETE FROM es_snapshot`)
				case "damage":
					sqldbtest.Exec(t, w.db, `UPDATE es_snapshot SET state = seen`)
				case "keep":
					if s, err := w.table.Load(within(t), stream(id)); err == nil {
						old = append(old, s)
					}
				case "put back":
					if len(old) > 0 {
						if err := w.table.Save(within(t), rapid.SampledFrom(old).Draw(r, "old")); err != nil {
							r.Fatal(err)
						}
					}
				case "load":
				}
				if len(done) == 0 {
					continue
				}
				if state, _ := w.agree(t, program, id); state.Sum != sum {
					r.Fatalf("%+v, want a sum of %d", state, sum)
				}
			}
		})
	})
}
