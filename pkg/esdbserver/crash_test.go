package esdbserver_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"github.com/google/uuid"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"orderflow/pkg/esdbserver"
	"orderflow/pkg/esdbserver/esdbservertest"
)

// crashDirVariable tells the test binary to run as a server on a directory, to be killed.
const crashDirVariable = "ESDBSERVER_CRASH_DIR"

const (
	crashRounds    = 3
	crashWriters   = 8
	crashBatch     = 3   // events of one append
	crashAppends   = 400 // acknowledged in a round before the server is killed
	crashAllowance = crashAppends * crashRounds * 10
)

// runCrashVictim serves a directory until it is killed. It says where on its first line.
func runCrashVictim(dir string) int {
	server, err := esdbserver.Open(esdbserver.Config{Dir: dir})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	fmt.Println(listener.Addr())
	fmt.Println(server.Serve(listener))
	return 1
}

func TestKilledServerKeepsWhatItAcknowledged(t *testing.T) {
	dir := t.TempDir()
	acknowledged := map[uuid.UUID]uint64{} // id of an append's first event: position of its last
	var highest uint64
	for round := range crashRounds {
		for id, position := range crashRound(t, dir, round) {
			if position <= highest {
				t.Fatalf("round %d: position %d was given before the crash already (up to %d)", round, position, highest)
			}
			acknowledged[id] = position
		}
		for _, position := range acknowledged {
			highest = max(highest, position)
		}
	}

	store := esdbservertest.New(t, esdbservertest.InDir(dir))
	all := store.All(t)
	if len(all) > crashAllowance*crashBatch {
		t.Fatalf("%d events, more than were ever sent", len(all))
	}
	var last uint64
	for i, e := range all {
		if e.Position.Commit <= last {
			t.Fatalf("position %d follows %d", e.Position.Commit, last)
		}
		last = e.Position.Commit
		// Whole appends only, acknowledged or not: the events of one stand together.
		if first := all[i-i%crashBatch]; e.EventID != crashEventID(first.EventID, i%crashBatch) || e.StreamID != first.StreamID {
			t.Fatalf("event %d (%s in %s) is not event %d of the append of %s", i, e.EventID, e.StreamID, i%crashBatch, first.EventID)
		}
		if i%crashBatch != crashBatch-1 {
			continue
		}
		first := all[i-i%crashBatch].EventID
		if want, ok := acknowledged[first]; ok && want != e.Position.Commit {
			t.Errorf("append %s was acknowledged at position %d and lies at %d", first, want, e.Position.Commit)
		}
		delete(acknowledged, first)
	}
	if len(acknowledged) > 0 {
		t.Errorf("%d acknowledged appends are gone", len(acknowledged))
	}
}

// crashRound starts a server, lets writers append until enough is acknowledged, and kills it while they go on.
func crashRound(t *testing.T, dir string, round int) map[uuid.UUID]uint64 {
	t.Helper()
	victim := exec.Command(os.Args[0], "-test.run=^$")
	victim.Env = append(os.Environ(), crashDirVariable+"="+dir)
	output, err := victim.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := victim.Start(); err != nil {
		t.Fatalf("start the victim: %v", err)
	}
	line, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		t.Fatalf("the victim said %q: %v", line, err)
	}
	connection, err := grpc.NewClient(strings.TrimSpace(line), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	defer connection.Close()
	client := streams.NewStreamsClient(connection)

	var (
		mu      sync.Mutex
		acked   = map[uuid.UUID]uint64{}
		enough  = make(chan struct{})
		count   atomic.Int64
		writers sync.WaitGroup
	)
	for w := range crashWriters {
		writers.Go(func() {
			stream := fmt.Sprintf("crash-%d-%d", round, w)
			for {
				first := uuid.New()
				answer, err := appendRaw(withPatience(t), client, stream, crashEvents(first)...)
				if err != nil {
					return // killed
				}
				mu.Lock()
				acked[first] = answer.GetSuccess().GetPosition().GetCommitPosition()
				mu.Unlock()
				if count.Add(1) == crashAppends {
					close(enough)
				}
			}
		})
	}
	select {
	case <-enough:
	case <-withPatience(t).Done():
		t.Error("the writers did not get far enough")
	}
	if err := victim.Process.Kill(); err != nil {
		t.Errorf("kill the victim: %v", err)
	}
	writers.Wait()
	_ = victim.Wait() // says that it was killed
	return acked
}

func crashEventID(first uuid.UUID, i int) uuid.UUID {
	if i == 0 {
		return first
	}
	return uuid.NewSHA1(first, []byte{byte(i)})
}

func crashEvents(first uuid.UUID) []*streams.AppendReq_ProposedMessage {
	var events []*streams.AppendReq_ProposedMessage
	for i := range crashBatch {
		events = append(events, rawEvent(crashEventID(first, i), "crashed"))
	}
	return events
}
