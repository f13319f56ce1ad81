package esdbserver_test

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"github.com/EventStore/EventStore-Client-Go/v4/protos/streams"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"

	"orderflow/pkg/esdbserver"
)

// childDirVariable tells the test binary to run as a server on a directory: to be killed, or to be measured without what
// its clients need.
const childDirVariable = "ESDBSERVER_CHILD_DIR"

// childProjectionsVariable tells that server to run the system projections.
const childProjectionsVariable = "ESDBSERVER_CHILD_PROJECTIONS"

// child is a server in a process of its own.
type child struct {
	process    *exec.Cmd
	questions  io.WriteCloser
	answers    *bufio.Reader
	connection *grpc.ClientConn
	client     streams.StreamsClient
}

// memory is what a child says about itself.
type memory struct {
	Heap       uint64 // bytes of live objects
	Goroutines int
	Peak       int // kB that were resident at most, 0 where the system does not say
}

// runChild serves a directory until it is killed. It says where on its first line, and answers each line that it is sent
// with one about its memory.
func runChild(dir string) int {
	server, err := esdbserver.Open(esdbserver.Config{
		Dir: dir, WriteTimeout: patience, SystemProjections: os.Getenv(childProjectionsVariable) != "",
	})
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
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	for lines := bufio.NewScanner(os.Stdin); lines.Scan(); {
		answer, err := json.Marshal(measureMemory())
		if err != nil {
			fmt.Println(err)
			return 1
		}
		fmt.Println(string(answer))
	}
	fmt.Println(<-served)
	return 1
}

func measureMemory() memory {
	runtime.GC()
	runtime.GC() // what finalizers and pools held until the first
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	m := memory{Heap: stats.HeapAlloc, Goroutines: runtime.NumGoroutine()}
	if text, err := os.ReadFile("/proc/self/status"); err == nil {
		if found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(text); found != nil {
			m.Peak, _ = strconv.Atoi(string(found[1]))
		}
	}
	return m
}

// startChild starts a server on a directory and connects to it.
func startChild(t testing.TB, dir string) *child {
	t.Helper()
	c := &child{process: exec.Command(os.Args[0], "-test.run=^$")}
	c.process.Env = append(os.Environ(), childDirVariable+"="+dir)
	output, err := c.process.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if c.questions, err = c.process.StdinPipe(); err != nil {
		t.Fatal(err)
	}
	c.answers = bufio.NewReader(output)
	if err := c.process.Start(); err != nil {
		t.Fatalf("start a server: %v", err)
	}
	t.Cleanup(c.kill)
	line, err := c.answers.ReadString('\n')
	if err != nil {
		t.Fatalf("the server said %q: %v", line, err)
	}
	c.connection, err = grpc.NewClient(strings.TrimSpace(line), grpc.WithTransportCredentials(insecure.NewCredentials()),
		// A client would by itself take up to 16 MiB for a stream that nobody reads from: a thousand of them are too much
		// for a test.
		grpc.WithStaticStreamWindowSize(64<<10), grpc.WithStaticConnWindowSize(1<<20))
	if err != nil {
		t.Fatalf("the server said %q: %v", line, err)
	}
	t.Cleanup(func() { c.connection.Close() })
	c.client = streams.NewStreamsClient(c.connection)
	return c
}

// kill ends the server as kill -9 does.
func (c *child) kill() {
	_ = c.process.Process.Kill() // fails when it has ended
	_ = c.process.Wait()         // says that it was killed
}

func (c *child) memory(t testing.TB) (m memory) {
	t.Helper()
	if _, err := io.WriteString(c.questions, "memory\n"); err != nil {
		t.Fatalf("ask the server about its memory: %v", err)
	}
	line, err := c.answers.ReadBytes('\n')
	if err == nil {
		err = json.Unmarshal(line, &m)
	}
	if err != nil {
		t.Fatalf("the server said %q: %v", line, err)
	}
	return m
}
