package protocoltest

// deleting hides the events of a stream. It continues where it was as soon as it is written to again.
var deleting = [...]writing{
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
}

// tombstones end a stream for good.
var tombstones = [...]writing{
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
}
