package main

import (
	msgpackrpc "github.com/hashicorp/consul-net-rpc/net-rpc-msgpackrpc"
	"github.com/hashicorp/consul/agent/structs"
)

// singleChecks use byte 0: net/rpc directly on the connection.
func singleChecks() []check {
	return []check{
		{"single-many-calls-on-one-connection", func(c *client, t *report) {
			codec, conn, err := c.dialSingle()
			if !t.noError("dial", err) {
				return
			}
			defer conn.Close()
			key := c.prefix + "single"
			var ok bool
			t.noError("set", msgpackrpc.CallWithCodec(codec, "KVS.Apply",
				&structs.KVSRequest{Datacenter: c.dc, Op: opSet, DirEnt: entry{Key: key, Value: []byte("v")}}, &ok))
			for i := 0; i < 20; i++ {
				var reply structs.IndexedDirEntries
				t.noError("get", msgpackrpc.CallWithCodec(codec, "KVS.Get", &structs.KeyRequest{Datacenter: c.dc, Key: key}, &reply))
				t.equal("entries", len(reply.Entries), 1)
			}
		}},
		{"single-open-after-application-error", func(c *client, t *report) {
			codec, conn, err := c.dialSingle()
			if !t.noError("dial", err) {
				return
			}
			defer conn.Close()
			var ok bool
			t.errorIs("set", msgpackrpc.CallWithCodec(codec, "KVS.Apply", &structs.KVSRequest{Datacenter: c.dc, Op: opSet}, &ok), "Must provide key")
			var out struct{}
			t.noError("Status.Ping", msgpackrpc.CallWithCodec(codec, "Status.Ping", struct{}{}, &out))
		}},
		{"single-closed-after-unknown-method", func(c *client, t *report) {
			codec, conn, err := c.dialSingle()
			if !t.noError("dial", err) {
				return
			}
			defer conn.Close()
			var out struct{}
			t.errorIs("Nope.X", msgpackrpc.CallWithCodec(codec, "Nope.X", struct{}{}, &out), "rpc: can't find service Nope.X")
			if n, err := conn.Read(make([]byte, 1)); n != 0 || err == nil {
				t.failf("the connection after it\nwant its end\ngot  %d bytes, error %v", n, err)
			}
		}},
	}
}
