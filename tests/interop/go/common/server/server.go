// Package server is a small server of Consul's protocol: HashiCorp's libraries
// with a map behind them.
//
// It is the other end of our client's tests, and the Go program that our server
// is measured against. So it does what Consul does with these libraries and
// nothing else: a goroutine for each connection and stream, which answers one
// request after the other, and buffered reads and writes.
package server

import (
	"flag"
	"fmt"
	"io"
	"log"
	"net"
	"net/rpc"
	"os"
	"os/signal"
	"syscall"

	"oneport.test/interop/common/store"
	"oneport.test/interop/common/transport"
)

// Main serves until it is told to end: by SIGTERM, by SIGINT, or by the end of
// its standard input if that is a pipe.
func Main(stack transport.Stack) {
	listen := flag.String("listen", "127.0.0.1:0", "host:port to listen on; port 0 takes any")
	flag.Parse()
	if flag.NArg() > 0 {
		fmt.Fprintf(os.Stderr, "server: unexpected argument %q\n", flag.Arg(0))
		os.Exit(2)
	}
	listener, err := net.Listen("tcp", *listen)
	if err != nil {
		fmt.Fprintf(os.Stderr, "server: %v\n", err)
		os.Exit(1)
	}
	s, err := newServer(stack, listener.Addr().String())
	if err != nil {
		fmt.Fprintf(os.Stderr, "server: %v\n", err)
		os.Exit(1)
	}
	go s.accept(listener)
	fmt.Printf("ready %s\n", listener.Addr())
	<-told()
}

// told gives a channel on which something comes when it is time to end.
func told() <-chan struct{} {
	end := make(chan struct{}, 2)
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		<-signals
		end <- struct{}{}
	}()
	if info, err := os.Stdin.Stat(); err == nil && info.Mode()&os.ModeNamedPipe != 0 {
		go func() {
			// An error is an end too.
			_, _ = io.Copy(io.Discard, os.Stdin)
			end <- struct{}{}
		}()
	}
	return end
}

type server struct {
	stack transport.Stack
	rpc   *rpc.Server
	peer  *Peer
}

func newServer(stack transport.Stack, leader string) (*server, error) {
	s := &server{
		stack: stack,
		rpc:   rpc.NewServer(),
		peer:  &Peer{sessions: make(map[transport.Session]struct{})},
	}
	for name, receiver := range map[string]interface{}{
		"Status": &Status{leader},
		"KVS":    &KVS{store.New()},
		"Peer":   s.peer,
	} {
		if err := s.rpc.RegisterName(name, receiver); err != nil {
			return nil, err
		}
	}
	return s, nil
}

func (s *server) accept(listener net.Listener) {
	for {
		conn, err := listener.Accept()
		if err != nil {
			log.Fatalf("server: %v", err)
		}
		go s.serve(conn)
	}
}

// serve reads the first byte, which decides.
func (s *server) serve(conn net.Conn) {
	var first [1]byte
	if _, err := io.ReadFull(conn, first[:]); err != nil {
		conn.Close()
		return
	}
	switch {
	case first[0] == transport.ByteRPC:
		s.calls(conn)
	case first[0] == transport.ByteMux && s.stack.Mux != nil:
		s.streams(conn)
	default:
		log.Printf("server: %v begins with byte %d, which is not served", conn.RemoteAddr(), first[0])
		conn.Close()
	}
}

// streams gives every stream of a session a goroutine of its own.
func (s *server) streams(conn net.Conn) {
	session, err := s.stack.Mux.Server(conn)
	if err != nil {
		log.Printf("server: %v: %v", conn.RemoteAddr(), err)
		conn.Close()
		return
	}
	defer session.Close()
	s.peer.enter(session)
	defer s.peer.leave(session)
	for {
		stream, err := session.Accept()
		if err != nil {
			return
		}
		go s.calls(stream)
	}
}

// calls answers one request after the other, until one cannot be read.
func (s *server) calls(conn net.Conn) {
	defer conn.Close()
	codec := s.stack.Server(conn)
	for {
		if err := s.rpc.ServeRequest(codec); err != nil {
			return
		}
	}
}
