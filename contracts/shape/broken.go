package shape

import (
	"encoding/json"
	"fmt"
	"maps"
	"reflect"
	"slices"
)

// Broken lists what was promised before and is not kept after, one line each,
// sorted; none when contracts have only grown. A promise is broken when
//
//   - a type, a field or a sample is removed;
//   - a field is retyped: anything that limits its values is said differently,
//     narrower, which old events do not keep, or wider, which old readers do not
//     expect;
//   - a field is newly required, whether it is new or was optional: old events lack it;
//   - a field is no longer required: readers count on it;
//   - the subject is another field, or the source another one;
//   - a sample is edited.
func Broken(before, after map[string]Shape) []string {
	var broken []string
	for _, typ := range slices.Sorted(maps.Keys(before)) {
		now, ok := after[typ]
		if !ok {
			broken = append(broken, typ+" is removed")
			continue
		}
		for _, what := range before[typ].broken(now) {
			broken = append(broken, typ+": "+what)
		}
	}
	return broken
}

func (s Shape) broken(now Shape) []string {
	var broken []string
	if s.Subject != now.Subject {
		broken = append(broken, fmt.Sprintf("the subject was %q and is %q", s.Subject, now.Subject))
	}
	if s.Source != now.Source {
		broken = append(broken, fmt.Sprintf("the source was %q and is %q", s.Source, now.Source))
	}
	for _, at := range slices.Sorted(maps.Keys(s.Fields)) {
		field, ok := now.Fields[at]
		_, within := now.Fields[parent(at)]
		switch {
		case ok:
			broken = append(broken, s.Fields[at].broken(at, field)...)
		case within: // else what it was part of is removed, and told
			broken = append(broken, fmt.Sprintf("%q is removed", at))
		}
	}
	for _, at := range slices.Sorted(maps.Keys(now.Fields)) {
		_, known := s.Fields[at]
		_, within := s.Fields[parent(at)] // a new optional object may require what it likes
		if !known && within && now.Fields[at].Required {
			broken = append(broken, fmt.Sprintf("%q is newly required", at))
		}
	}
	for _, name := range slices.Sorted(maps.Keys(s.Samples)) {
		switch now.Samples[name] {
		case s.Samples[name]:
		case "":
			broken = append(broken, fmt.Sprintf("sample %s is removed", name))
		default:
			broken = append(broken, fmt.Sprintf("sample %s is edited", name))
		}
	}
	return broken
}

func (f Field) broken(at string, now Field) []string {
	var broken []string
	switch {
	case now.Required && !f.Required:
		broken = append(broken, fmt.Sprintf("%q is newly required", at))
	case f.Required && !now.Required:
		broken = append(broken, fmt.Sprintf("%q is no longer required", at))
	}
	keywords := maps.Clone(f.Is)
	maps.Copy(keywords, now.Is)
	for _, keyword := range slices.Sorted(maps.Keys(keywords)) {
		if was, is := f.Is[keyword], now.Is[keyword]; !reflect.DeepEqual(was, is) {
			broken = append(broken, fmt.Sprintf("%q is retyped: its %s was %s and is %s", at, keyword, quoted(was), quoted(is)))
		}
	}
	return broken
}

func quoted(value any) string {
	if value == nil {
		return "not said"
	}
	text, err := json.Marshal(value)
	if err != nil {
		return fmt.Sprint(value)
	}
	return string(text)
}
