// Package shape tells what a change of the contracts takes from those who read
// the events.
//
// A contract only grows: whoever reads a field has to find it, of the same kind,
// in every event that was or ever will be published under that type. So a
// [Shape] is what a schema promises field by field, [Broken] is what one set of
// shapes promised and the next does not keep, and what is only more is fine:
// a type, a sample, an optional field.
//
// It looks at the keywords that the contracts use. A schema that says something
// else is refused, so that no promise goes unseen.
package shape
