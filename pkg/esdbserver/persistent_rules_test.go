package esdbserver_test

import "testing"

// The rules about delivering to consumers, each as what happens in this order.
var groupRules = []struct {
	rule  string
	lines []string
}{
	// Where a group starts.
	{"From the start it begins with the first event", []string{"append any: a b", "create start", "A connects 10", "A gets a b"}},
	{"The revision to start at is included", []string{"append any: a b c", "create 1", "A connects 10", "A gets b c"}},
	{"From the end there are only later events", []string{"append any: a", "create end", "append any: b", "A connects 10", "A gets b"}},
	{"A revision beyond the end is waited for", []string{"append any: a", "create 2", "append any: b c", "A connects 10", "A gets c"}},
	{"A stream that does not exist is waited for", []string{"create start", "A connects 10", "append any: a", "A gets a"}},
	{"From the end of a stream that does not exist all is later", []string{"create end", "A connects 10", "append any: a", "A gets a"}},
	{"It works from its creation on, without consumers", []string{"create end", "append any: a b", "wait buffered 2", "A connects 10", "A gets a b"}},
	{"Other streams are not its business", []string{"create start", "append to t any: x", "append any: a", "A connects 10", "A gets a"}},
	{"What the end was does not move with a restart", []string{"append any: a", "create end", "append any: b", "restart", "A connects 10", "A gets b"}},

	// What a consumer gets.
	{"A consumer has as many unfinished events as it asked for", []string{"append any: a b c d", "create start", "A connects 2", "A gets a b", "wait in-flight 2", "A acks b", "A gets c", "A acks a c", "A gets d"}},
	{"An event that is done does not come again", []string{"append any: a b", "create start", "A connects 1", "A gets a", "A acks a", "A gets b"}},
	{"A retried event comes again with a higher count", []string{"append any: a b", "create start", "A connects 1", "A gets a", "A retries a", "A gets a(1)", "A retries a", "A gets a(2)", "A acks a", "A gets b"}},
	{"The group retries what the consumer knows no action for", []string{"append any: a", "create start", "A connects 1", "A gets a", "A despairs of a", "A gets a(1)"}},
	{"A skipped event is gone", []string{"append any: a b", "create start", "A connects 1", "A gets a", "A skips a", "A gets b", "wait parked 0"}},
	{"Stop is what skip is, and ends nothing", []string{"append any: a b", "create start", "A connects 1", "A gets a", "A stops a", "A gets b", "wait parked 0"}},
	{"A parked event is in the parked stream", []string{"append any: a b", "create start", "A connects 1", "A gets a", "A parks a", "A gets b", "wait parked 1", "wait links 1"}},
	{"An event that is retried too often is parked", []string{"append any: a b", "create start retries=1", "A connects 1", "A gets a", "A retries a", "A gets a(1)", "A retries a", "A gets b", "wait parked 1"}},
	{"Without retries the first failure parks", []string{"append any: a b", "create start retries=0", "A connects 1", "A gets a", "A retries a", "A gets b", "wait parked 1"}},
	{"Answering twice is no harm", []string{"append any: a b c", "create start", "A connects 1", "A gets a", "A acks a a", "A acks a", "A gets b", "A parks a", "A acks b", "A gets c", "wait parked 0"}},

	// Time and leaving.
	{"An event that takes too long comes again", []string{"append any: a", "create start", "A connects 5", "A gets a", "advance 29s", "advance 1s", "A gets a(1)"}},
	{"An event that takes too long too often is parked", []string{"append any: a", "create start retries=1", "A connects 5", "A gets a", "advance 31s", "A gets a(1)", "advance 31s", "wait parked 1"}},
	{"An event that takes too long goes to another consumer", []string{"create start", "A connects 1", "B connects 1", "append any: a", "A gets a", "advance 31s", "B gets a(1)"}},
	{"A late answer counts all the same", []string{"create start", "A connects 1", "B connects 1", "append any: a", "A gets a", "advance 31s", "B gets a(1)", "A acks a", "wait done 1", "wait in-flight 0"}},
	{"What a consumer had when it left goes to another, in order", []string{"append any: a b c", "create start", "A connects 2", "A gets a b", "A leaves", "wait in-flight 0", "B connects 5", "B gets a(1) b(1) c"}},
	{"What a consumer had too often when it left is parked", []string{"append any: a", "create start retries=0", "A connects 1", "A gets a", "A leaves", "wait parked 1"}},

	// Strategies.
	{"Round robin gives each one in turn", []string{"create start", "A connects 10", "B connects 10", "append any: a b c d", "A gets a c", "B gets b d"}},
	{"Round robin leaves out who has all it wants", []string{"create start", "A connects 1", "B connects 10", "append any: a b c d", "A gets a", "B gets b c d"}},
	{"Dispatch to single fills one first", []string{"create start strategy=DispatchToSingle", "A connects 2", "B connects 2", "append any: a b c", "A gets a b", "B gets c"}},
	{"Dispatch to single stays with the one it went to", []string{
		"create start strategy=DispatchToSingle", "A connects 1", "B connects 2", "append any: a b", "A gets a", "B gets b", "A acks a", "wait in-flight 1", "append any: c", "B gets c",
	}},
	{"Pinned gives a stream to one consumer, and waits for it", []string{"create start strategy=Pinned", "A connects 1", "append any: a b c", "A gets a", "A acks a", "A gets b", "A acks b", "A gets c"}},

	// Checkpoints and restarts.
	{"A checkpoint is written when enough is done", []string{"append any: a b c", "create start max-checkpoint=2", "A connects 10", "A gets a b c", "A acks a b", "wait checkpoint 1"}},
	{"A checkpoint stays below what is not done", []string{"append any: a b c d", "create start max-checkpoint=1", "A connects 10", "A gets a b c d", "A acks a d c", "wait checkpoint 0", "A acks b", "wait checkpoint 3"}},
	{"A checkpoint is written when it has waited long enough", []string{"append any: a b", "create start min-checkpoint=2", "A connects 10", "A gets a b", "A acks a b", "wait done 2", "advance 3s", "wait checkpoint 1"}},
	{"After a restart it continues behind the checkpoint", []string{"append any: a b c", "create start max-checkpoint=1", "A connects 10", "A gets a b c", "A acks a c", "wait checkpoint 0", "restart", "B connects 10", "B gets b c"}},
	{"Without a checkpoint a restart begins again", []string{"append any: a b", "create start", "A connects 10", "A gets a b", "A acks a b", "wait done 2", "restart", "B connects 10", "B gets a b"}},
	{"Restarting the subsystem is what a restart is, and drops consumers", []string{
		"append any: a b", "create start max-checkpoint=1", "A connects 10", "A gets a b", "A acks a", "wait checkpoint 0", "restart-subsystem", "A is dropped Canceled", "B connects 10", "B gets b",
	}},

	// Changing and deleting groups.
	{"An update drops consumers and keeps the place", []string{"append any: a b", "create start max-checkpoint=1", "A connects 10", "A gets a b", "A acks a", "wait checkpoint 0", "update start retries=0", "A is dropped Canceled", "B connects 10", "B gets b", "B retries b", "wait parked 1"}},
	{"An update of a group without a checkpoint moves its start", []string{"append any: a b c", "create start", "update 2", "A connects 10", "A gets c"}},
	{"Deleting a group drops its consumers", []string{"create start", "A connects 10", "remove", "A is dropped Canceled"}},
	{"A group that was deleted leaves nothing to its successor", []string{
		"append any: a b", "create start max-checkpoint=1", "A connects 10", "A gets a b", "A parks a", "A acks b", "wait checkpoint 1", "remove", "create start", "B connects 10", "B gets a b", "wait parked 0", "wait checkpoint none",
	}},

	// Replaying.
	{"Replayed events come again, by the links to them", []string{"append any: a b", "create start", "A connects 10", "A gets a b", "A parks a b", "wait parked 2", "replay", "A gets parked/0->a parked/1->b", "wait parked 0"}},
	{"Replayed events leave the parked stream when they are done", []string{"append any: a b", "create start", "A connects 10", "A gets a b", "A parks a b", "wait parked 2", "replay", "A gets parked/0->a parked/1->b", "A acks a b", "wait links 0"}},
	{"A replay stops where it is told to", []string{"append any: a b c", "create start", "A connects 10", "A gets a b c", "A parks a b c", "wait parked 3", "replay 2", "A gets parked/0->a parked/1->b", "A acks a b", "wait links 1", "wait parked 1"}},
	{"A replayed event can be parked again", []string{"append any: a", "create start", "A connects 10", "A gets a", "A parks a", "wait parked 1", "replay", "A gets parked/0->a", "A parks a", "wait parked 1", "wait links 1", "replay", "A gets parked/1->a"}},
	{"A replayed event is retried and counted from the beginning", []string{"append any: a", "create start retries=1", "A connects 10", "A gets a", "A retries a", "A gets a(1)", "A retries a", "wait parked 1", "replay", "A gets parked/0->a", "A retries a", "A gets parked/0->a(1)"}},
	{"Parked events outlive a restart", []string{"append any: a b", "create start max-checkpoint=1", "A connects 10", "A gets a b", "A parks a b", "wait checkpoint 1", "restart", "wait parked 2", "replay", "B connects 10", "B gets parked/0->a parked/1->b"}},
	{"Replayed events that are not done are parked again after a restart", []string{
		"append any: a b", "create start max-checkpoint=1", "A connects 10", "A gets a b", "A parks a b", "wait checkpoint 1", "replay", "A gets parked/0->a parked/1->b", "A acks a", "wait in-flight 1", "advance 1s", "wait links 1", "restart", "wait parked 1", "replay", "B connects 10", "B gets parked/1->b",
	}},
	{"Replaying twice delivers once", []string{"append any: a b", "create start", "A connects 10", "A gets a", "A gets b", "A parks a", "wait parked 1", "replay", "replay", "A gets parked/0->a", "append any: c", "A gets c"}},
	{"Replaying nothing is no error", []string{"create start", "replay", "wait parked 0"}},

	// Links.
	{"Links are delivered as they are", []string{"append any: a", "create on=links start", "link 0@s", "A connects 10", "A gets $>"}},
	{"Resolved links are delivered with what they point to", []string{"append any: a", "create on=links start resolve", "link 0@s", "A connects 10", "A gets links/0->a", "A retries a", "A gets links/0->a(1)"}},
	{"Links to what is gone are skipped", []string{"append any: a b", "create on=links start resolve max-checkpoint=1", "link 7@s", "link 0@never", "link 1@s", "A connects 10", "A gets links/2->b", "A acks b", "wait checkpoint 2"}},
	{"What looks like a link and is none is delivered", []string{"create on=links start resolve", "link nothing", "A connects 10", "A gets $>"}},
	{"A parked event whose target has gone does not stop a replay", []string{
		"append any: a b", "create start max-checkpoint=1", "A connects 10", "A gets a b", "A parks a b", "wait parked 2", `metadata {"$tb":1}`, "replay", "A gets parked/1->b", "A acks b", "wait links 0",
	}},

	// Streams that shrink or end.
	{"What metadata hides is not read", []string{`metadata {"$maxCount":1}`, "append any: a b", "create start", "A connects 10", "A gets b"}},
	{"What is too old is not read", []string{`metadata {"$maxAge":60}`, "append any: a", "advance 1h", "append any: b", "create start", "A connects 10", "A gets b"}},
	{"Deleting the stream does not end the group", []string{"append any: a", "create start", "A connects 10", "A gets a", "delete any", "append any: b", "A gets b"}},
	{"What was deleted before it was read is not read", []string{"append any: a b", "delete any", "create start", "append any: c", "A connects 10", "A gets c"}},
	{"What was delivered before the stream was deleted can be delivered again", []string{"append any: a", "create start", "A connects 10", "A gets a", "delete any", "A retries a", "A gets a(1)"}},
	{"A tombstone is delivered to a group that keeps up", []string{"append any: a", "create start", "A connects 10", "A gets a", "wait status Live", "tombstone any", "A gets tombstone"}},
	{"A group on a tombstoned stream has nothing to deliver, and goes on", []string{"append any: a", "tombstone any", "create start", "wait status Live", "A connects 10", "restart", "wait status Live", "B connects 1"}},

	// All streams.
	{"$all has the events of all streams in order", []string{"append any: a", "append to t any: b", "create all start types=a", "A connects 10", "A gets a", "append to u any: a1", "A gets a1"}},
	{"$all from the end has only later events", []string{"append any: a", "create all end types=x", "append any: a1 x1", "A connects 10", "A gets x1"}},
	{"$all is filtered by the names of streams too", []string{"append any: a", "append to t any: b", "create all start streams~^(t|u)$", "A connects 10", "A gets b", "append to u any: c", "A gets c"}},
	{"A group on $all parks and replays", []string{"append any: a b", "create all start streams~^s$", "A connects 10", "A gets a b", "A parks a", "wait parked 1", "replay", "A gets $persistentsubscription-$all::g-parked/0->a"}},
	{"An update of a group on $all keeps its filter", []string{"create all start types=x", "update start", "append any: a x1", "A connects 10", "A gets x1"}},
	{"A group on $all continues behind its checkpoint", []string{"append any: x1 x2 a x3", "create all start types=x max-checkpoint=1", "A connects 10", "A gets x1 x2 x3", "A acks x1 x2", "wait checkpoint a", "restart", "B connects 10", "B gets x3"}},
}

func TestPersistentSubscriptionsFollowTheRule(t *testing.T) {
	for _, test := range groupRules {
		t.Run(test.rule, func(t *testing.T) {
			t.Parallel()
			newGroupScript(t, inDir(t)).run(test.lines...)
		})
	}
}
