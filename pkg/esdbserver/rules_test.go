package esdbserver_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// The rules of the protocol about writing, each as: given these lines, this line has this outcome, and a reader then sees
// this.
var writingRules = []struct {
	rule    string
	given   []string
	when    string
	outcome string
	content string
}{
	// What a writer may expect of a stream.
	{"Any writes to a stream that does not exist", nil, "append any: a", "revision 0", "0:a"},
	{"Any writes to a stream that exists", []string{"append any: a"}, "append any: b", "revision 1", "0:a 1:b"},
	{"NoStream writes to a stream that does not exist", nil, "append none: a b", "revision 1", "0:a 1:b"},
	{"NoStream is wrong for a stream with events", []string{"append any: a"}, "append none: b", "wrong version", "0:a"},
	{"NoStream writes to a stream that has only metadata", []string{`metadata {"x":1}`}, "append none: a", "revision 0", "0:a"},
	{"StreamExists writes to a stream with events", []string{"append any: a"}, "append exists: b", "revision 1", "0:a 1:b"},
	{"StreamExists is wrong for a stream without events and metadata", nil, "append exists: a", "wrong version", "not found"},
	{"StreamExists is content with metadata alone", []string{`metadata {"x":1}`}, "append exists: a", "revision 0", "0:a"},
	{"The revision of the last event writes", []string{"append any: a b"}, "append 1: c", "revision 2", "0:a 1:b 2:c"},
	{"A revision below the last is wrong", []string{"append any: a b"}, "append 0: c", "wrong version", "0:a 1:b"},
	{"A revision above the last is wrong", []string{"append any: a"}, "append 1: b", "wrong version", "0:a"},
	{"Any revision is wrong for a stream that does not exist", nil, "append 0: a", "wrong version", "not found"},

	// The same append again.
	{"NoStream again with the same ids answers again and writes nothing", []string{"append none: a b"}, "append none: a b", "revision 1", "0:a 1:b"},
	{"A revision again with the same ids answers again and writes nothing", []string{"append any: a", "append 0: b c"}, "append 0: b c", "revision 2", "0:a 1:b 2:c"},
	{"The answer to a repeated append is as it was, however far the stream is now", []string{"append none: a b", "append 1: c"}, "append none: a b", "revision 1", "0:a 1:b 2:c"},
	{"A repeated append may be a beginning of what was written", []string{"append none: a b c"}, "append none: a b", "revision 1", "0:a 1:b 2:c"},
	{"A repeated append whose later ids differ is wrong", []string{"append none: a b"}, "append none: a c", "wrong version", "0:a 1:b"},
	{"A repeated append that runs past the end is wrong", []string{"append none: a b"}, "append none: a b c", "wrong version", "0:a 1:b"},
	{"Other ids at those revisions are wrong", []string{"append none: a b"}, "append none: b a", "wrong version", "0:a 1:b"},
	{"Definite revisions are compared with history after a restart too", []string{"append none: a b", "restart"}, "append none: a b", "revision 1", "0:a 1:b"},
	{"Any again with known ids answers again", []string{"append any: a b"}, "append any: a b", "revision 1", "0:a 1:b"},
	{"StreamExists again with known ids answers again", []string{"append any: a", "append exists: b"}, "append exists: b", "revision 1", "0:a 1:b"},
	{"Any with an unknown first id writes all, known later ids included", []string{"append any: a"}, "append any: b a", "revision 2", "0:a 1:b 2:a"},
	{"Any with a known first id and an unknown later one is wrong", []string{"append any: a"}, "append any: a b", "wrong version", "0:a"},
	{"Any knows ids in the same stream only", []string{"append to t any: a"}, "append any: a", "revision 0", "0:a"},
	{"Any has forgotten the ids after a restart", []string{"append any: a", "restart"}, "append any: a", "revision 1", "0:a 1:a"},
	{"An id may be there twice in one append", nil, "append none: a a", "revision 1", "0:a 1:a"},
	{"The current revision writes an id that is there already", []string{"append none: a"}, "append 0: a", "revision 1", "0:a 1:a"},

	// No events at all.
	{"Zero events are checked: the last revision is right", []string{"append any: a b"}, "append 1:", "revision 1", "0:a 1:b"},
	{"Zero events are checked: a lower revision is wrong", []string{"append any: a b"}, "append 0:", "wrong version", "0:a 1:b"},
	{"Zero events are checked: NoStream is wrong for a stream with events", []string{"append any: a"}, "append none:", "wrong version", "0:a"},
	{"Zero events do not make a stream", []string{"append any:"}, "append exists: a", "wrong version", "not found"},
	{"Zero events bring a soft-deleted stream back", []string{"append any: a", "delete any", "append any:"}, "append 0: b", "revision 1", "1:b"},

	// Soft deletion.
	{"A deleted stream is not found", []string{"append any: a b"}, "delete 1", "deleted", "not found"},
	{"Deleting expects a revision like an append", []string{"append any: a b"}, "delete 0", "wrong version", "0:a 1:b"},
	{"Deleting a stream that never was is wrong with Any", nil, "delete any", "wrong version", "not found"},
	{"Deleting a stream that never was is wrong with NoStream", nil, "delete none", "wrong version", "not found"},
	{"A stream that has only metadata can be deleted", []string{`metadata {"x":1}`}, "delete any", "deleted", "not found"},
	{"Deleting twice succeeds with Any", []string{"append any: a", "delete any"}, "delete any", "deleted", "not found"},
	{"Deleting twice with StreamExists finds it deleted", []string{"append any: a", "delete any"}, "delete exists", "stream deleted", "not found"},
	{"A deleted stream continues behind its last revision with Any", []string{"append any: a b", "delete any"}, "append any: c", "revision 2", "2:c"},
	{"A deleted stream continues with NoStream", []string{"append any: a b", "delete any"}, "append none: c", "revision 2", "2:c"},
	{"A deleted stream continues with its last revision", []string{"append any: a b", "delete any"}, "append 1: c", "revision 2", "2:c"},
	{"A deleted stream is deleted to StreamExists", []string{"append any: a b", "delete any"}, "append exists: c", "stream deleted", "not found"},
	{"A lower revision is wrong for a deleted stream too", []string{"append any: a b", "delete any"}, "append 0: c", "wrong version", "not found"},
	{"NoStream with the ids of a deleted stream's history answers again", []string{"append none: a b", "delete any"}, "append none: a b", "revision 1", "not found"},
	{"NoStream with a part of a deleted stream's history is wrong", []string{"append none: a b", "delete any"}, "append none: a c", "wrong version", "not found"},
	{"New metadata brings a deleted stream back", []string{"append any: a", "delete any", `metadata {"x":1}`}, "append 0: b", "revision 1", "1:b"},
	{"Metadata that truncates everything is a deletion", []string{"append any: a"}, `metadata {"$tb":9223372036854775807}`, "revision 0", "not found"},

	// Tombstones.
	{"A tombstoned stream reads as deleted", []string{"append any: a"}, "tombstone any", "tombstoned", "stream deleted"},
	{"A tombstone expects a revision like an append", []string{"append any: a"}, "tombstone 1", "wrong version", "0:a"},
	{"A stream that never was can be tombstoned with Any", nil, "tombstone any", "tombstoned", "stream deleted"},
	{"A stream that never was can be tombstoned with NoStream", nil, "tombstone none", "tombstoned", "stream deleted"},
	{"A soft-deleted stream can be tombstoned", []string{"append any: a", "delete any"}, "tombstone any", "tombstoned", "stream deleted"},
	{"A tombstoned stream takes no events, whatever is expected", []string{"append any: a", "tombstone any"}, "append any: b", "stream deleted", "stream deleted"},
	{"A tombstoned stream takes no repeated append", []string{"append none: a", "tombstone any"}, "append none: a", "stream deleted", "stream deleted"},
	{"A tombstoned stream takes no metadata", []string{"append any: a", "tombstone any"}, `metadata {"x":1}`, "stream deleted", "stream deleted"},
	{"A tombstoned stream cannot be deleted", []string{"append any: a", "tombstone any"}, "delete any", "stream deleted", "stream deleted"},
	{"A tombstoned stream cannot be tombstoned", []string{"append any: a", "tombstone any"}, "tombstone any", "stream deleted", "stream deleted"},
	{"A tombstone outlives a restart", []string{"append any: a", "tombstone any", "restart"}, "append any: b", "stream deleted", "stream deleted"},

	// What metadata hides.
	{"$maxCount shows the last ones", []string{`metadata {"$maxCount":2}`}, "append any: a b c", "revision 2", "1:b 2:c"},
	{"$tb shows what is not below it", []string{`metadata {"$tb":1}`}, "append any: a b c", "revision 2", "1:b 2:c"},
	{"The larger of $tb and $maxCount counts", []string{`metadata {"$tb":1,"$maxCount":3}`}, "append any: a b c d e", "revision 4", "2:c 3:d 4:e"},
	{"Hidden events count for expected revisions", []string{`metadata {"$maxCount":1}`, "append any: a b c"}, "append 2: d", "revision 3", "3:d"},
	{"A stream of which nothing is visible exists and is empty", []string{`metadata {"$tb":5}`}, "append any: a", "revision 0", ""},
	{"Limits that are not positive are ignored", []string{`metadata {"$maxCount":0,"$maxAge":-5}`}, "append any: a b", "revision 1", "0:a 1:b"},
	{"Metadata that is no JSON is none", []string{`metadata {"$maxCount":1}`, `metadata {"$maxCount":1`}, "append any: a b", "revision 1", "0:a 1:b"},
	{"The last metadata replaces what was before", []string{`metadata {"$maxCount":1}`, `metadata {"x":1}`}, "append any: a b", "revision 1", "0:a 1:b"},
	{"Setting metadata does not make a stream", nil, `metadata {"x":1}`, "revision 0", "not found"},
	{"Metadata outlives a restart", []string{`metadata {"$maxCount":1}`, "restart"}, "append any: a b", "revision 1", "1:b"},
}

func TestWritingFollowsTheRule(t *testing.T) {
	for _, test := range writingRules {
		t.Run(test.rule, func(t *testing.T) {
			t.Parallel()
			s := newScript(t, inDir(t))
			for _, line := range test.given {
				s.do(line)
			}
			if diff := cmp.Diff(test.outcome, s.do(test.when)); diff != "" {
				t.Errorf("outcome of %q (-want +got):\n%s", test.when, diff)
			}
			if diff := cmp.Diff(test.content, s.content("s")); diff != "" {
				t.Errorf("a reader then sees (-want +got):\n%s", diff)
			}
		})
	}
}
