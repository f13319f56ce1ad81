package acl

import (
	"bytes"
	"encoding/json"
)

// List names the users and groups that have each right. nil says nothing about a right, an empty list gives it to nobody.
type List struct {
	Read, Write, Delete, MetaRead, MetaWrite []string
}

// Defaults are the lists for streams that have none of their own.
type Defaults struct {
	User   List // for ordinary streams
	System List // for those whose name begins with $
}

// everyone, adminsOnly and everyoneReads are what is built in.

func everyone() List {
	names := []string{Everyone}
	return List{Read: names, Write: names, Delete: names, MetaRead: names, MetaWrite: names}
}

func adminsOnly() List {
	names := []string{}
	return List{Read: names, Write: names, Delete: names, MetaRead: names, MetaWrite: names}
}

func everyoneReads() List {
	list := adminsOnly()
	list.Read, list.MetaRead = []string{Everyone}, []string{Everyone}
	return list
}

// Parse reads the list in the metadata of a stream. Metadata that is no JSON object, or names no list, says nothing. A list
// that is there and cannot be understood admits the administrators only, and so does a right in it: somebody wanted to
// restrict something, and the original server's way, to ignore all of it, would open what was meant to be closed.
func Parse(metadata []byte) List { return member(metadata, "$acl") }

// ParseDefaults reads the last event of the stream $settings by the same rules.
func ParseDefaults(settings []byte) Defaults {
	return Defaults{User: member(settings, "$userStreamAcl"), System: member(settings, "$systemStreamAcl")}
}

func member(document []byte, name string) List {
	// A map, because the names count in upper and lower case, which fields of a struct do not.
	members := map[string]json.RawMessage{}
	if json.Unmarshal(document, &members) != nil || absent(members[name]) {
		return List{}
	}
	rights := map[string]json.RawMessage{}
	if json.Unmarshal(members[name], &rights) != nil {
		return adminsOnly()
	}
	return List{
		Read:      names(rights["$r"]),
		Write:     names(rights["$w"]),
		Delete:    names(rights["$d"]),
		MetaRead:  names(rights["$mr"]),
		MetaWrite: names(rights["$mw"]),
	}
}

func absent(value json.RawMessage) bool { return len(value) == 0 || bytes.Equal(value, []byte("null")) }

// names reads one right: a name or a list of names.
func names(value json.RawMessage) []string {
	if absent(value) {
		return nil
	}
	var one string
	if json.Unmarshal(value, &one) == nil {
		return []string{one}
	}
	many := []string{}
	if json.Unmarshal(value, &many) != nil {
		return []string{}
	}
	return many
}
