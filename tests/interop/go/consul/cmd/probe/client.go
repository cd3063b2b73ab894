package main

import (
	"errors"
	"io"
	"log"
	"net"
	"os"
	"time"

	msgpackrpc "github.com/hashicorp/consul-net-rpc/net-rpc-msgpackrpc"
	"github.com/hashicorp/consul-net-rpc/net/rpc"
	"github.com/hashicorp/consul/agent/pool"
	"github.com/hashicorp/consul/agent/structs"
	"github.com/hashicorp/consul/api"
	"github.com/hashicorp/consul/tlsutil"
	"github.com/hashicorp/go-hclog"
)

const (
	opSet        = api.KVSet
	opCAS        = api.KVCAS
	opDelete     = api.KVDelete
	opDeleteCAS  = api.KVDeleteCAS
	opDeleteTree = api.KVDeleteTree
	opLock       = api.KVLock
	opUnlock     = api.KVUnlock
)

// callPrefix is what the pool puts in front of every error of a call.
const callPrefix = "rpc error making call: "

type entry = structs.DirEntry

// client is one server seen through Consul's connection pool.
type client struct {
	pool   *pool.ConnPool
	addr   net.Addr
	dc     string
	node   string
	prefix string
}

func newClient(addr, dc, node, prefix string, verbose bool) (*client, error) {
	tcp, err := net.ResolveTCPAddr("tcp", addr)
	if err != nil {
		return nil, err
	}
	var output io.Writer = io.Discard
	if verbose {
		output = os.Stderr
	}
	// The pool asks the configurator whether to use TLS: it must be there even
	// when the answer is no.
	tls, err := tlsutil.NewConfigurator(tlsutil.Config{}, hclog.New(&hclog.LoggerOptions{Output: output}))
	if err != nil {
		return nil, err
	}
	p := &pool.ConnPool{
		Logger:           log.New(output, "", log.LstdFlags),
		RPCHoldTimeout:   7 * time.Second,
		MaxQueryTime:     600 * time.Second,
		DefaultQueryTime: 300 * time.Second,
		MaxTime:          2 * time.Minute,
		MaxStreams:       32,
		TLSConfigurator:  tls,
		Datacenter:       dc,
	}
	p.SetRPCClientTimeout(60 * time.Second)
	return &client{pool: p, addr: tcp, dc: dc, node: node, prefix: prefix}, nil
}

func (c *client) close() { c.pool.Shutdown() }

// call makes one call over the pool: byte 4, yamux, net/rpc.
func (c *client) call(method string, args, reply interface{}) error {
	return c.pool.RPC(c.dc, c.node, c.addr, method, args, reply)
}

// waitReady polls until the server knows a leader.
func (c *client) waitReady(atMost time.Duration) error {
	deadline := time.Now().Add(atMost)
	for {
		var leader string
		err := c.call("Status.Leader", c.inDC(), &leader)
		if err == nil && leader != "" {
			return nil
		}
		if time.Now().After(deadline) {
			if err == nil {
				err = errors.New("no leader")
			}
			return err
		}
		time.Sleep(50 * time.Millisecond)
	}
}

func (c *client) inDC() *structs.DCSpecificRequest {
	return &structs.DCSpecificRequest{Datacenter: c.dc}
}

func (c *client) apply(op api.KVOp, e entry) (bool, error) {
	var ok bool
	err := c.call("KVS.Apply", &structs.KVSRequest{Datacenter: c.dc, Op: op, DirEnt: e}, &ok)
	return ok, err
}

func (c *client) set(key string, value []byte) error {
	_, err := c.apply(opSet, entry{Key: key, Value: value})
	return err
}

func (c *client) get(key string) (*structs.IndexedDirEntries, error) {
	return c.getWith(key, structs.QueryOptions{})
}

func (c *client) getWith(key string, options structs.QueryOptions) (*structs.IndexedDirEntries, error) {
	var reply structs.IndexedDirEntries
	err := c.call("KVS.Get", &structs.KeyRequest{Datacenter: c.dc, Key: key, QueryOptions: options}, &reply)
	return &reply, err
}

func (c *client) list(prefix string) (*structs.IndexedDirEntries, error) {
	var reply structs.IndexedDirEntries
	err := c.call("KVS.List", &structs.KeyRequest{Datacenter: c.dc, Key: prefix}, &reply)
	return &reply, err
}

func (c *client) listKeys(prefix, separator string) (*structs.IndexedKeyList, error) {
	var reply structs.IndexedKeyList
	err := c.call("KVS.ListKeys", &structs.KeyListRequest{Datacenter: c.dc, Prefix: prefix, Seperator: separator}, &reply)
	return &reply, err
}

// dialSingle opens a connection of its own: byte 0, then net/rpc.
func (c *client) dialSingle() (rpc.ClientCodec, net.Conn, error) {
	conn, err := net.DialTimeout("tcp", c.addr.String(), 5*time.Second)
	if err != nil {
		return nil, nil, err
	}
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		conn.Close()
		return nil, nil, err
	}
	if _, err := conn.Write([]byte{byte(pool.RPCConsul)}); err != nil {
		conn.Close()
		return nil, nil, err
	}
	return msgpackrpc.NewCodecFromHandle(true, true, conn, structs.MsgpackHandle), conn, nil
}
