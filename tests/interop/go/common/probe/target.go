package probe

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/rpc"
	"time"

	"oneport.test/interop/common/transport"
	"oneport.test/interop/common/wire"
)

// datacenter is that of the server.
const datacenter = "dc1"

// target is a server, and what it is called with.
type target struct {
	stack  transport.Stack
	addr   string
	prefix string
	pid    int
}

// dial opens a connection and says its first byte. It does not outlive the
// check that opened it.
func (t *target) dial(first byte) (net.Conn, error) {
	conn, err := net.Dial("tcp", t.addr)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Write([]byte{first}); err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

// plain is a connection of its own, for net/rpc.
func (t *target) plain() (*caller, error) {
	conn, err := t.dial(transport.ByteRPC)
	if err != nil {
		return nil, err
	}
	return t.caller(conn), nil
}

// session is a connection of its own, for yamux.
func (t *target) session() (*session, error) {
	return t.sessionBy(t.stack.Mux.Client)
}

func (t *target) sessionBy(client func(io.ReadWriteCloser) (transport.Session, error)) (*session, error) {
	conn, err := t.dial(transport.ByteMux)
	if err != nil {
		return nil, err
	}
	mux, err := client(conn)
	if err != nil {
		conn.Close()
		return nil, err
	}
	return &session{mux, t}, nil
}

// alone is a stream that has a session for itself.
func (t *target) alone() (*caller, error) {
	session, err := t.session()
	if err != nil {
		return nil, err
	}
	c, err := session.caller()
	if err != nil {
		session.Close()
		return nil, err
	}
	c.codec = closeBoth{c.codec, session}
	return c, nil
}

// closeBoth takes the session along when its only stream is closed.
type closeBoth struct {
	rpc.ClientCodec
	session *session
}

func (c closeBoth) Close() error { return errors.Join(c.ClientCodec.Close(), c.session.Close()) }

// empty removes all keys of the checks.
func (t *target) empty() error {
	c, err := t.plain()
	if err != nil {
		return err
	}
	defer c.close()
	_, err = c.apply(wire.OpDeleteTree, wire.DirEntry{Key: t.prefix})
	return err
}

// session is a yamux session in which every stream is for net/rpc.
type session struct {
	transport.Session
	target *target
}

func (s *session) caller() (*caller, error) {
	stream, err := s.Open()
	if err != nil {
		return nil, err
	}
	return s.target.caller(stream), nil
}

// works makes a call in a new stream.
func (s *session) works() error {
	c, err := s.caller()
	if err != nil {
		return err
	}
	defer c.close()
	return c.ping()
}

// emptied waits until no stream is open: both ends have closed all of them.
func (s *session) emptied() error {
	// The count has no event to wait for.
	for until := time.Now().Add(patience / 2); s.NumStreams() > 0; time.Sleep(time.Millisecond) {
		if time.Now().After(until) {
			return fmt.Errorf("%d streams stay open", s.NumStreams())
		}
	}
	return nil
}

// caller makes calls over one connection or stream, one after the other.
type caller struct {
	target *target
	codec  rpc.ClientCodec
}

func (t *target) caller(conn net.Conn) *caller {
	return &caller{t, t.stack.Client(conn)}
}

// close is for the end of a check, when nobody minds how it goes.
func (c *caller) close() { _ = c.codec.Close() }

func (c *caller) call(method string, args, reply interface{}) error {
	return c.target.stack.Call(c.codec, method, args, reply)
}

func (c *caller) ping() error {
	var reply struct{}
	return c.call("Status.Ping", struct{}{}, &reply)
}

func (c *caller) apply(op string, e wire.DirEntry) (bool, error) {
	var ok bool
	err := c.call("KVS.Apply", &wire.KVSRequest{Datacenter: datacenter, Op: op, DirEnt: e}, &ok)
	return ok, err
}

func (c *caller) set(key string, value []byte) error {
	_, err := c.apply(wire.OpSet, wire.DirEntry{Key: key, Value: value})
	return err
}

func (c *caller) get(key string, options wire.QueryOptions) (*wire.IndexedDirEntries, error) {
	var reply wire.IndexedDirEntries
	err := c.call("KVS.Get", &wire.KeyRequest{Datacenter: datacenter, Key: key, QueryOptions: options}, &reply)
	return &reply, err
}

// entry reads a key that must be there.
func (c *caller) entry(key string) (*wire.DirEntry, error) {
	reply, err := c.get(key, wire.QueryOptions{})
	if err != nil {
		return nil, fmt.Errorf("get %s: %w", key, err)
	}
	if len(reply.Entries) != 1 || reply.Entries[0].Key != key {
		return nil, fmt.Errorf("get %s: want this one entry, got %d: %+v", key, len(reply.Entries), reply.Entries)
	}
	return reply.Entries[0], nil
}

// want reads a key that must have this value.
func (c *caller) want(key string, value []byte) error {
	e, err := c.entry(key)
	if err != nil {
		return err
	}
	if string(e.Value) != string(value) {
		return fmt.Errorf("get %s: want the %d bytes that were set, got %d others", key, len(value), len(e.Value))
	}
	return nil
}

// wantAbsent reads a key that must not be there.
func (c *caller) wantAbsent(key string) error {
	reply, err := c.get(key, wire.QueryOptions{})
	if err != nil {
		return fmt.Errorf("get %s: %w", key, err)
	}
	if len(reply.Entries) != 0 || reply.Index == 0 {
		return fmt.Errorf("get %s: want no entry and an index, got %+v", key, reply)
	}
	return nil
}

// isText wants a server's error of exactly this text.
func isText(what string, err error, text string) error {
	var said rpc.ServerError
	if !errors.As(err, &said) || string(said) != text {
		return fmt.Errorf("%s: want the server's error %q, got %v", what, text, err)
	}
	return nil
}
