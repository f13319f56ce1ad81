package porttest_test

import (
	"bufio"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"testing"

	"orderflow/pkg/porttest"
)

func TestPortsAreFreeUntilTheyAreUsed(t *testing.T) {
	first := porttest.For(t, porttest.Most)
	for n := range porttest.Most {
		listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", first+n))
		if err != nil {
			t.Fatal(err)
		}
		defer listener.Close()
	}
}

// Nobody is given a port that another has, used or not, in this process or in another one.
func TestAPortIsGivenToOneAtATime(t *testing.T) {
	const variable, each, most = "PORTTEST_RESERVES", 40, 3
	if os.Getenv(variable) != "" {
		for range each {
			fmt.Println("first", porttest.For(t, most))
		}
		fmt.Println("all reserved")
		_, _ = os.Stdin.Read(make([]byte, 1)) // keeps them until the parent has read
		return
	}
	taken := map[int]string{}
	take := func(who string, first int) {
		for port := first; port < first+most; port++ {
			if before, ok := taken[port]; ok {
				t.Errorf("port %d is given to %s and to %s", port, before, who)
			}
			taken[port] = who
		}
	}
	child := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$")
	child.Env = append(os.Environ(), variable+"=1")
	leash, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	output, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = child.Wait() }()
	defer leash.Close()

	var mu sync.Mutex
	var here sync.WaitGroup
	for n := range 4 {
		here.Go(func() {
			for range each {
				first := porttest.For(t, most)
				mu.Lock()
				take("goroutine "+strconv.Itoa(n), first)
				mu.Unlock()
			}
		})
	}
	here.Wait()
	lines := bufio.NewScanner(output)
	for lines.Scan() && lines.Text() != "all reserved" {
		if text, ok := strings.CutPrefix(lines.Text(), "first "); ok {
			first, err := strconv.Atoi(text)
			if err != nil {
				t.Fatal(err)
			}
			take("another process", first)
		}
	}
	if want := 5 * each * most; len(taken) != want && !t.Failed() {
		t.Errorf("%d ports were given, want %d", len(taken), want)
	}
}

func TestWhatWasReleasedIsFreeAgain(t *testing.T) {
	first, release, err := porttest.Reserve(1)
	if err != nil {
		t.Fatal(err)
	}
	guard := fmt.Sprintf("127.0.0.1:%d", first-1)
	if listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", guard); err == nil {
		listener.Close()
		t.Errorf("nobody guards %d", first)
	}
	if err := release(); err != nil {
		t.Fatal(err)
	}
	listener, err := new(net.ListenConfig).Listen(t.Context(), "tcp", guard)
	if err != nil {
		t.Fatal(err)
	}
	listener.Close()
}

func TestMoreThanThereAreInARowAreRefused(t *testing.T) {
	for _, n := range []int{-1, 0, porttest.Most + 1} {
		if first, _, err := porttest.Reserve(n); err == nil {
			t.Errorf("%d ports were given, from %d on", n, first)
		}
	}
}
