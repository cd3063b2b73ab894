// Probe calls a server the way a Consul agent does, with Consul's own client
// code, and says for every check whether the server behaves as Consul 1.13.9.
//
// It speaks only about things that any such server must do, so the same
// program runs against the real Consul (which proves the checks) and against
// oneport (which is what they are for).
package main

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"time"
)

func main() {
	var (
		addr    = flag.String("addr", "127.0.0.1:8300", "host:port of the server's RPC port")
		dc      = flag.String("dc", "dc1", "the server's datacenter")
		node    = flag.String("node", "srv1", "node name, used by the pool to tell servers apart")
		prefix  = flag.String("prefix", "probe/", "all keys are below this prefix; it is emptied first and last")
		only    = flag.String("only", "", "run only checks whose name contains this text")
		ready   = flag.Bool("ready", false, "only wait until the server knows a leader")
		get     = flag.String("get", "", "only print the value of this key")
		refusal = flag.String("refused", "", "only call until the server refuses, and say whether it is this: rate, leader, denied, not-found, elsewhere or later")
		token   = flag.String("token", "", "with -refused: the token to present")
		key     = flag.String("key", "probe", "with -refused: the key to ask for")
		write   = flag.Bool("write", false, "with -refused: write the key instead of reading it")
		wait    = flag.Duration("wait", 30*time.Second, "how long to wait for a leader")
		verbose = flag.Bool("v", false, "log what the client library has to say, and the time of each check")
	)
	flag.Parse()

	client, err := newClient(*addr, *dc, *node, *prefix, *verbose)
	if err != nil {
		fmt.Fprintf(os.Stderr, "probe: %v\n", err)
		os.Exit(2)
	}
	defer client.close()

	if err := client.waitReady(*wait); err != nil {
		fmt.Printf("FAIL ready\n     want a leader within %v\n     got  %v\n", *wait, err)
		os.Exit(1)
	}
	if *ready {
		fmt.Println("ready")
		return
	}
	if *refusal != "" {
		refused(client, *refusal, *token, *key, *write)
		return
	}
	if *get != "" {
		reply, err := client.get(*get)
		if err != nil || len(reply.Entries) != 1 {
			fmt.Fprintf(os.Stderr, "probe: %q has %d entries, error %v\n", *get, len(reply.Entries), err)
			os.Exit(1)
		}
		os.Stdout.Write(reply.Entries[0].Value)
		return
	}
	if _, err := client.apply(opDeleteTree, entry{Key: *prefix}); err != nil {
		fmt.Printf("FAIL clean-start\n     want no error\n     got  %v\n", err)
		os.Exit(1)
	}

	passed, failed := 0, 0
	for _, check := range checks() {
		if *only != "" && !strings.Contains(check.name, *only) {
			continue
		}
		t := &report{}
		start := time.Now()
		check.run(client, t)
		switch {
		case len(t.failures) > 0:
			failed++
			fmt.Printf("FAIL %s\n", check.name)
			for _, failure := range t.failures {
				fmt.Printf("     %s\n", strings.ReplaceAll(failure, "\n", "\n     "))
			}
		default:
			passed++
			if *verbose {
				fmt.Printf("ok %s (%v)\n", check.name, time.Since(start).Round(time.Millisecond))
			} else {
				fmt.Printf("ok %s\n", check.name)
			}
		}
	}
	client.apply(opDeleteTree, entry{Key: *prefix})

	if failed+passed == 0 {
		fmt.Printf("FAIL no check has %q in its name\n", *only)
		os.Exit(1)
	}
	if failed > 0 {
		fmt.Printf("%d checks failed, %d passed\n", failed, passed)
		os.Exit(1)
	}
	fmt.Printf("%d checks passed\n", passed)
}

// check is one promise with a name.
type check struct {
	name string
	run  func(*client, *report)
}

func checks() []check {
	var all []check
	all = append(all, statusChecks()...)
	all = append(all, kvChecks()...)
	all = append(all, errorChecks()...)
	all = append(all, blockingChecks()...)
	all = append(all, loadChecks()...)
	all = append(all, singleChecks()...)
	return all
}

// report collects what went wrong in one check.
type report struct {
	failures []string
}

func (t *report) failf(format string, args ...interface{}) {
	t.failures = append(t.failures, fmt.Sprintf(format, args...))
}

// noError says whether err is nil, and notes it when not.
func (t *report) noError(what string, err error) bool {
	if err != nil {
		t.failf("%s\nwant no error\ngot  %v", what, err)
		return false
	}
	return true
}

// errorIs wants exactly this text.
func (t *report) errorIs(what string, err error, want string) {
	if err == nil {
		t.failf("%s\nwant error %q\ngot  no error", what, want)
	} else if err.Error() != want {
		t.failf("%s\nwant error %q\ngot  error %q", what, want, err.Error())
	}
}

// equal compares printed forms, which is exact for the types used here.
func (t *report) equal(what string, got, want interface{}) bool {
	g, w := fmt.Sprintf("%#v", got), fmt.Sprintf("%#v", want)
	if g != w {
		t.failf("%s\nwant %s\ngot  %s", what, shorten(w), shorten(g))
		return false
	}
	return true
}

func (t *report) isTrue(what string, got bool) {
	if !got {
		t.failf("%s\nwant true\ngot  false", what)
	}
}

func shorten(s string) string {
	if len(s) > 300 {
		return fmt.Sprintf("%s… (%d characters)", s[:300], len(s))
	}
	return s
}
