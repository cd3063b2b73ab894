// Package transport says what a module brings: one version of each library.
package transport

import (
	"io"
	"net"
	"net/rpc"
	"time"
)

// First bytes of a connection.
const (
	ByteRPC = 0 // net/rpc over msgpack
	ByteMux = 4 // a yamux session, net/rpc over msgpack in its streams
)

// Stack is a codec, and a multiplexer in the modules that are about one.
type Stack struct {
	// Name is that of the module.
	Name string
	// Server and Client make a codec of one connection or stream.
	Server func(io.ReadWriteCloser) rpc.ServerCodec
	Client func(io.ReadWriteCloser) rpc.ClientCodec
	// Call makes one call, without the machinery of an rpc.Client.
	Call func(codec rpc.ClientCodec, method string, args, reply interface{}) error
	// ClientBin is as Client, but writes the msgpack types str 8 and bin; nil
	// where the library has no switch for that.
	ClientBin func(io.ReadWriteCloser) rpc.ClientCodec
	// Mux is nil where there is none.
	Mux *Mux
}

// Mux makes sessions.
type Mux struct {
	Server func(io.ReadWriteCloser) (Session, error)
	Client func(io.ReadWriteCloser) (Session, error)
	// ClientOpenTimeout is as Client, with this StreamOpenTimeout; nil where
	// the library has none.
	ClientOpenTimeout func(conn io.ReadWriteCloser, limit time.Duration) (Session, error)
}

// Session is what the checks and the server need of a yamux session. All
// versions have it.
type Session interface {
	Open() (net.Conn, error)
	Accept() (net.Conn, error)
	Ping() (time.Duration, error)
	GoAway() error
	Close() error
	IsClosed() bool
	CloseChan() <-chan struct{}
	NumStreams() int
}
