package rabbitmq

import "testing"

func TestOneMessageOfASuspectIsTriedAtATime(t *testing.T) {
	messages := []outgoing{
		{subject: "a", key: "trusted"},
		{subject: "a", key: "one"},
		{subject: "b", key: "one"},
		{subject: "c", key: "one"},
		{subject: "c", key: "two"},
		{subject: "d", key: "two"},
	}
	var s suspects
	want := func(i int, why string) {
		t.Helper()
		if got := s.ask(messages); got != i {
			t.Errorf("%s: message %d, want %d", why, got, i)
		}
	}
	want(-1, "without suspects")
	s.add("one")
	s.add("two")
	want(2, "the first that overtakes none of its subject")
	s.add("one") // by another that had no answer
	want(5, "nobody asks about the other one yet")
	want(-1, "both are on their way")
	s.answer("one", false)
	want(2, "no answer")
	s.answer("one", true)
	s.answer("two", true)
	if s.has("one") || s.has("two") {
		t.Error("they are suspects although they were answered")
	}
	want(-1, "all are trusted")
}
