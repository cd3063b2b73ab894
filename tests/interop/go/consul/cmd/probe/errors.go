package main

import (
	"github.com/hashicorp/consul/agent/structs"
)

// errorChecks compare whole texts: clients match on them.
func errorChecks() []check {
	return []check{
		{"error-no-key", func(c *client, t *report) {
			for _, op := range []struct {
				name string
				run  func() error
			}{
				{"set", func() error { _, err := c.apply(opSet, entry{}); return err }},
				{"cas", func() error { _, err := c.apply(opCAS, entry{}); return err }},
				{"delete", func() error { _, err := c.apply(opDelete, entry{}); return err }},
			} {
				t.errorIs(op.name, op.run(), callPrefix+"Must provide key")
			}
		}},
		{"error-get-empty-key", func(c *client, t *report) {
			_, err := c.get("")
			t.errorIs("get", err, callPrefix+"failed kvs lookup: index error: object is missing a value for this index")
		}},
		{"error-lock-invalid-session", func(c *client, t *report) {
			key := c.prefix + "lock"
			_, err := c.apply(opLock, entry{Key: key, Session: "deadbeef-0000-4000-8000-00000000abcd"})
			t.errorIs("unknown session", err, callPrefix+`raft apply failed: invalid session "deadbeef-0000-4000-8000-00000000abcd"`)
			_, err = c.apply(opLock, entry{Key: key, Session: "nope"})
			t.errorIs("malformed session", err, callPrefix+`raft apply failed: invalid session "nope"`)
			_, err = c.apply(opLock, entry{Key: key})
			t.errorIs("lock without session", err, callPrefix+"raft apply failed: missing session")
			_, err = c.apply(opUnlock, entry{Key: key})
			t.errorIs("unlock without session", err, callPrefix+"raft apply failed: missing session")
		}},
		{"error-bad-operation", func(c *client, t *report) {
			for _, op := range []string{"bogus", "get", "SET", ""} {
				var ok bool
				err := c.call("KVS.Apply", map[string]interface{}{
					"Datacenter": c.dc, "Op": op, "DirEnt": map[string]interface{}{"Key": c.prefix + "op"},
				}, &ok)
				t.errorIs("op "+op, err, callPrefix+"raft apply failed: Invalid KVS operation '"+op+"'")
			}
		}},
		{"error-no-path-to-datacenter", func(c *client, t *report) {
			const want = callPrefix + "No path to datacenter"
			other := "no-such-dc"
			var leader string
			t.errorIs("Status.Leader", c.call("Status.Leader", &structs.DCSpecificRequest{Datacenter: other}, &leader), want)
			var peers []string
			t.errorIs("Status.Peers", c.call("Status.Peers", &structs.DCSpecificRequest{Datacenter: other}, &peers), want)
			var entries structs.IndexedDirEntries
			t.errorIs("KVS.Get", c.call("KVS.Get", &structs.KeyRequest{Datacenter: other, Key: "k"}, &entries), want)
			t.errorIs("KVS.List", c.call("KVS.List", &structs.KeyRequest{Datacenter: other, Key: "k"}, &entries), want)
			var keys structs.IndexedKeyList
			t.errorIs("KVS.ListKeys", c.call("KVS.ListKeys", &structs.KeyListRequest{Datacenter: other, Prefix: "k"}, &keys), want)
			var ok bool
			t.errorIs("KVS.Apply", c.call("KVS.Apply", &structs.KVSRequest{Datacenter: other, Op: opSet, DirEnt: entry{Key: "k"}}, &ok), want)
		}},
		{"error-unknown-method", func(c *client, t *report) {
			var out struct{}
			for method, want := range map[string]string{
				"KVS.Nope":   "rpc: can't find method KVS.Nope",
				"Nope.Nope":  "rpc: can't find service Nope.Nope",
				"KVS":        "rpc: service/method request ill-formed: KVS",
				"kvs.Get":    "rpc: can't find service kvs.Get",
				"A.KVS.Get":  "rpc: can't find service A.KVS.Get",
				"Status.pin": "rpc: can't find method Status.pin",
			} {
				t.errorIs(method, c.call(method, struct{}{}, &out), callPrefix+want)
			}
		}},
		{"error-bad-body", func(c *client, t *report) {
			var out structs.IndexedDirEntries
			t.errorIs("a string as body", c.call("KVS.Get", "text", &out), callPrefix+
				"codec.decoder: Only encoded map or array can be decoded into a struct. (valueType: 6)")
		}},
		{"usable-after-errors", func(c *client, t *report) {
			// The pool throws the stream away after an error; the session must live.
			var out struct{}
			for i := 0; i < 5; i++ {
				if err := c.call("KVS.Nope", struct{}{}, &out); err == nil {
					t.failf("KVS.Nope\nwant an error\ngot  none")
				}
				t.noError("Status.Ping", c.call("Status.Ping", struct{}{}, &out))
			}
		}},
	}
}
