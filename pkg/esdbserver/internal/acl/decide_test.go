package acl

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestFirstLayerThatSpeaksOfARightDecides(t *testing.T) {
	var (
		nobody = User{}
		admin  = User{Name: "admin", Groups: []string{Admins}}
		ops    = User{Name: "ops", Groups: []string{Operators}}
		alice  = User{Name: "alice", Groups: []string{"sales"}}
	)
	for _, test := range []struct {
		rule     string
		stream   string
		own      string // metadata of the stream's owner
		settings string
		right    Right
		may, not []User
	}{
		{rule: "ordinary streams are everybody's", stream: "s", right: Read, may: []User{nobody, alice, ops, admin}},
		{rule: "also to write", stream: "s", right: Write, may: []User{nobody, alice, ops, admin}},
		{rule: "and to delete", stream: "s", right: Delete, may: []User{nobody, alice, ops, admin}},
		{rule: "and their metadata", stream: "$$s", right: Write, may: []User{nobody, alice, ops, admin}},
		{rule: "streams with $ belong to the administrators", stream: "$s", right: Read, may: []User{admin}, not: []User{nobody, alice, ops}},
		{rule: "and so does their metadata", stream: "$$$s", right: Read, may: []User{admin}, not: []User{nobody, alice, ops}},
		{rule: "and everything", stream: "$all", right: Read, may: []User{admin}, not: []User{nobody, alice, ops}},
		{rule: "a name that is only the prefix is a system stream", stream: "$$", right: Read, may: []User{admin}, not: []User{alice}},
		{rule: "the links of the system projections are everybody's to read", stream: "$ce-order", right: Read, may: []User{nobody, alice, ops, admin}},
		{rule: "so is what governs them", stream: "$$$ce-order", right: Read, may: []User{nobody, alice, ops, admin}},
		{rule: "but not to write", stream: "$et-x", right: Write, may: []User{admin}, not: []User{nobody, alice, ops}},
		{rule: "nor to govern", stream: "$$$streams", right: Write, may: []User{admin}, not: []User{nobody, alice, ops}},
		{rule: "nor to delete", stream: "$bc-1", right: Delete, may: []User{admin}, not: []User{nobody, alice, ops}},
		{rule: "and the settings can close them", stream: "$category-order", settings: `{"$systemStreamAcl":{"$r":[]}}`, right: Read, not: []User{nobody, alice, ops}},
		{rule: "other system streams are not meant", stream: "$streams-x", right: Read, not: []User{nobody, alice, ops}},
		{rule: "metadata of metadata goes with the stream", stream: "$$$$$s", right: Read, may: []User{admin}, not: []User{alice}},

		{rule: "a user is named", stream: "s", own: `{"$acl":{"$r":"alice"}}`, right: Read, may: []User{alice, admin}, not: []User{nobody, ops}},
		{rule: "a group is named", stream: "s", own: `{"$acl":{"$r":["x","sales"]}}`, right: Read, may: []User{alice, admin}, not: []User{nobody, ops}},
		{rule: "the operators' group is one like others", stream: "s", own: `{"$acl":{"$r":["$ops"]}}`, right: Read, may: []User{ops, admin}, not: []User{nobody, alice}},
		{rule: "what the list does not speak of stays as it was", stream: "s", own: `{"$acl":{"$r":"alice"}}`, right: Write, may: []User{nobody, ops}},
		{rule: "an empty list admits nobody", stream: "s", own: `{"$acl":{"$w":[]}}`, right: Write, may: []User{admin}, not: []User{nobody, alice, ops}},
		{rule: "null says nothing", stream: "s", own: `{"$acl":{"$w":null}}`, right: Write, may: []User{nobody}},
		{rule: "nor does null for a list", stream: "s", own: `{"$acl":null}`, right: Write, may: []User{nobody}},
		{rule: "a list can open a system stream", stream: "$s", own: `{"$acl":{"$r":"$all"}}`, right: Read, may: []User{nobody, alice, ops}},
		{rule: "one right at a time", stream: "$s", own: `{"$acl":{"$r":"$all"}}`, right: Write, not: []User{nobody, alice, ops}},
		{rule: "reading does not mean reading metadata", stream: "$$s", own: `{"$acl":{"$r":"alice","$mr":"ops"}}`, right: Read, may: []User{ops}, not: []User{alice}},
		{rule: "nor does writing mean writing metadata", stream: "$$s", own: `{"$acl":{"$w":"alice","$mw":"ops"}}`, right: Write, may: []User{ops}, not: []User{alice}},
		{rule: "metadata rights give nothing else", stream: "s", own: `{"$acl":{"$r":[],"$mr":"alice"}}`, right: Read, not: []User{alice}},
		{rule: "to delete is a right of its own", stream: "s", own: `{"$acl":{"$d":"alice"}}`, right: Delete, may: []User{alice}, not: []User{ops}},
		{rule: "who has no name is not the user without a name", stream: "s", own: `{"$acl":{"$r":""}}`, right: Read, not: []User{nobody, alice}},

		{rule: "the settings replace what is built in", stream: "s", settings: `{"$userStreamAcl":{"$w":"alice"}}`, right: Write, may: []User{alice, admin}, not: []User{nobody, ops}},
		{rule: "for streams of their kind", stream: "$s", settings: `{"$userStreamAcl":{"$r":"alice"}}`, right: Read, not: []User{alice}},
		{rule: "also for system streams", stream: "$s", settings: `{"$systemStreamAcl":{"$r":"$ops"}}`, right: Read, may: []User{ops}, not: []User{alice}},
		{rule: "a stream's own list goes before the settings", stream: "s", own: `{"$acl":{"$w":"ops"}}`, settings: `{"$userStreamAcl":{"$w":"alice"}}`, right: Write, may: []User{ops}, not: []User{alice}},
		{rule: "right by right", stream: "s", own: `{"$acl":{"$r":"ops"}}`, settings: `{"$userStreamAcl":{"$w":"alice"}}`, right: Write, may: []User{alice}, not: []User{ops}},
		{rule: "administrators cannot be shut out", stream: "s", own: `{"$acl":{"$r":[]}}`, settings: `{"$userStreamAcl":{"$r":[]}}`, right: Read, may: []User{admin}},

		{rule: "a list that is none admits administrators", stream: "s", own: `{"$acl":"alice"}`, right: Read, may: []User{admin}, not: []User{nobody, alice}},
		{rule: "a right that is none does too", stream: "s", own: `{"$acl":{"$r":7}}`, right: Read, may: []User{admin}, not: []User{nobody, alice}},
		{rule: "also in a list", stream: "s", own: `{"$acl":{"$r":["alice",7]}}`, right: Read, may: []User{admin}, not: []User{alice}},
		{rule: "metadata that is none says nothing", stream: "s", own: `{"$acl":`, right: Read, may: []User{nobody}},
		{rule: "names count exactly", stream: "s", own: `{"$ACL":{"$r":[]}}`, right: Read, may: []User{nobody}},
	} {
		t.Run(test.rule, func(t *testing.T) {
			defaults, own := ParseDefaults([]byte(test.settings)), Parse([]byte(test.own))
			for _, user := range test.may {
				if !defaults.Allows(user, test.right, test.stream, own) {
					t.Errorf("%q may not", user.Name)
				}
			}
			for _, user := range test.not {
				if defaults.Allows(user, test.right, test.stream, own) {
					t.Errorf("%q may", user.Name)
				}
			}
		})
	}
}

func TestMetadataIsGovernedByItsStream(t *testing.T) {
	for stream, want := range map[string]string{
		"s": "s", "$s": "$s", "$$s": "s", "$$$s": "$s", "$$$$s": "s", "$all": "$all", "$$$all": "$all", "$$": "$$", "$": "$", "": "",
	} {
		if got := Owner(stream); got != want {
			t.Errorf("%q is governed by %q, want %q", stream, got, want)
		}
	}
}

func TestListsAreReadRightByRight(t *testing.T) {
	got := Parse([]byte(`{"$maxCount":3,"$acl":{"$r":"a","$w":["b","c"],"$d":[],"$mr":null,"other":1}}`))
	want := List{Read: []string{"a"}, Write: []string{"b", "c"}, Delete: []string{}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("list (-want +got):\n%s", diff)
	}
}
