// Package probe calls a server with somebody else's client libraries, and says
// for every check whether the server behaves as Consul 1.13.9 does.
package probe

import (
	"flag"
	"fmt"
	"os"
	"runtime/pprof"
	"strings"
	"time"

	"oneport.test/interop/common/transport"
)

// patience ends a check that hangs. Most take milliseconds.
const patience = 2 * time.Minute

// kind is what the server is, the most modest first: what is asked of one is
// asked of those behind it too.
type kind int

const (
	small   kind = iota // cmd/server of these modules
	consul              // the real one
	oneport             // has limits, and drains
)

var kinds = map[string]kind{"small": small, "consul": consul, "oneport": oneport}

// check is one promise with a name.
type check struct {
	name string
	of   kind
	run  func(*target) error
}

// Main runs the checks and ends the program: with 1 if one failed, with 2 if it
// was started in a wrong way.
func Main(stack transport.Stack) {
	var (
		addr    = flag.String("addr", "127.0.0.1:8300", "host:port of the server")
		server  = flag.String("server", "oneport", "what the server is: small, consul or oneport; decides what is asked of it")
		prefix  = flag.String("prefix", "probe/"+stack.Name+"/", "all keys are below this prefix; it is emptied first and last")
		only    = flag.String("only", "", "run only checks whose name contains this text")
		drain   = flag.Int("drain", 0, "process id of a oneport to end with SIGTERM in a last check; 0 spares it")
		verbose = flag.Bool("v", false, "show the time of each check")
	)
	flag.Parse()
	of, known := kinds[*server]
	if !known {
		fmt.Fprintf(os.Stderr, "probe: -server is %q, but it must be small, consul or oneport\n", *server)
		os.Exit(2)
	}
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "probe: unexpected argument %q\n", flag.Arg(0))
		os.Exit(2)
	}
	if *drain != 0 && (of != oneport || stack.Mux == nil) {
		fmt.Fprintf(os.Stderr, "probe: -drain is %d, but only a oneport drains, and only a session sees it\n", *drain)
		os.Exit(2)
	}
	t := &target{stack: stack, addr: *addr, prefix: *prefix, pid: *drain}
	if err := t.empty(); err != nil {
		fmt.Printf("FAIL start: %v\n", err)
		os.Exit(1)
	}

	passed, failed := 0, 0
	for _, check := range checks(t) {
		if check.of > of || !strings.Contains(check.name, *only) {
			continue
		}
		began := time.Now()
		err := inTime(check, t)
		took := ""
		if *verbose {
			took = fmt.Sprintf(" (%v)", time.Since(began).Round(time.Millisecond))
		}
		if err != nil {
			failed++
			fmt.Printf("FAIL %s: %v%s\n", check.name, err, took)
		} else {
			passed++
			fmt.Printf("ok %s%s\n", check.name, took)
		}
	}
	if *drain == 0 {
		if err := t.empty(); err != nil {
			failed++
			fmt.Printf("FAIL end: %v\n", err)
		}
	}
	switch {
	case failed > 0:
		fmt.Printf("%d checks failed, %d passed\n", failed, passed)
		os.Exit(1)
	case passed == 0:
		fmt.Printf("FAIL no check has %q in its name\n", *only)
		os.Exit(1)
	default:
		fmt.Printf("%d checks passed\n", passed)
	}
}

// inTime runs a check. One that hangs ends the program, because it would also
// hold what the others need.
func inTime(check check, t *target) error {
	done := make(chan error, 1)
	go func() { done <- check.run(t) }()
	select {
	case err := <-done:
		return err
	case <-time.After(patience):
		fmt.Printf("FAIL %s: no end within %v\n", check.name, patience)
		// Where it hangs; there is nobody to tell if that cannot be written.
		_ = pprof.Lookup("goroutine").WriteTo(os.Stderr, 1)
		os.Exit(1)
		return nil
	}
}

// checks are those that the libraries of a target can run.
func checks(t *target) []check {
	all := callChecks("plain", (*target).plain)
	all = append(all, plainChecks()...)
	if t.stack.ClientBin != nil {
		all = append(all, binChecks()...)
	}
	if t.stack.Mux == nil {
		return all
	}
	all = append(all, callChecks("stream", (*target).alone)...)
	all = append(all, sessionChecks()...)
	if t.stack.Mux.ClientWith != nil {
		all = append(all, timedChecks()...)
	}
	if t.pid != 0 {
		all = append(all, drainChecks()...)
	}
	return all
}
