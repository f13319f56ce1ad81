package protocoltest

// repeating is the same append again, by a writer who got no answer. A definite expected revision is compared with history,
// for ever; Any and StreamExists only with what the server remembers of recent ids.
var repeating = [...]writing{
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
}
