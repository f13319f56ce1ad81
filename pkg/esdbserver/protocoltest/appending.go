package protocoltest

// appending is what a writer may expect of a stream.
var appending = [...]writing{
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
}

// appendingNothing is what an append without events does.
var appendingNothing = [...]writing{
	{"Zero events are checked: the last revision is right", []string{"append any: a b"}, "append 1:", "revision 1", "0:a 1:b"},
	{"Zero events are checked: a lower revision is wrong", []string{"append any: a b"}, "append 0:", "wrong version", "0:a 1:b"},
	{"Zero events are checked: NoStream is wrong for a stream with events", []string{"append any: a"}, "append none:", "wrong version", "0:a"},
	{"Zero events do not make a stream", []string{"append any:"}, "append exists: a", "wrong version", "not found"},
	{"Zero events bring a soft-deleted stream back", []string{"append any: a", "delete any", "append any:"}, "append 0: b", "revision 1", "1:b"},
}
