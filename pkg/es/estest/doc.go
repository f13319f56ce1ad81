// Package estest holds the codec of an aggregate to everything that was ever
// stored with it.
//
// The promise. A test that passes [Goldens] fails when
//
//   - a type of event, or one of its versions, has no golden;
//   - a golden is read as something else than it means, or is no longer read;
//   - an event is written otherwise than the golden of its newest version, to
//     the byte: whoever changes what is stored has to add a version;
//   - a field of an event is in no golden of a newest version, so that nobody
//     would notice that it is not stored;
//   - the file of a golden was edited or removed, or is not recorded;
//   - something that is no event is taken for one: data that is empty or cut
//     off, a version that is not known, metadata that cannot be read.
//
// A golden is the data of one stored event as a file, indented by two spaces,
// named <type>.v<version>.json, or <type>.v<version>.<variant>.json where one
// version could say several things. The file SHA256SUMS beside them records
// them, in the form that sha256sum writes and checks. It makes editing a golden
// a decision instead of a way to make a test pass; that nobody has edited both
// is for a comparison with an earlier commit.
package estest
