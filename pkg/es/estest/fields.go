package estest

import (
	"maps"
	"reflect"
	"slices"
)

// fields are those of the events that were seen, by their names, and whether one
// was anything but zero.
type fields map[string]bool

// see goes through values, and through what they consist of.
func (f fields) see(values any) { f.value(reflect.ValueOf(values)) }

func (f fields) value(v reflect.Value) {
	switch v.Kind() { //nolint:exhaustive // the others have no parts
	case reflect.Pointer, reflect.Interface:
		if !v.IsNil() {
			f.value(v.Elem())
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			f.value(v.Index(i))
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			f.value(v.MapIndex(key))
		}
	case reflect.Struct:
		for i := range v.NumField() {
			if field := v.Type().Field(i); field.IsExported() {
				name := v.Type().String() + "." + field.Name
				f[name] = f[name] || !v.Field(i).IsZero()
				f.value(v.Field(i))
			}
		}
	}
}

// unset are the fields that were never anything but zero, sorted.
func (f fields) unset() []string {
	var unset []string
	for _, name := range slices.Sorted(maps.Keys(f)) {
		if !f[name] {
			unset = append(unset, name)
		}
	}
	return unset
}
