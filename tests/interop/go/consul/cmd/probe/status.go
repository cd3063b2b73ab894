package main

import (
	"github.com/hashicorp/consul/agent/structs"
)

func statusChecks() []check {
	return []check{
		{"status-ping", func(c *client, t *report) {
			var out struct{}
			t.noError("Status.Ping", c.call("Status.Ping", struct{}{}, &out))
		}},
		{"pool-ping", func(c *client, t *report) {
			alive, err := c.pool.Ping(c.dc, c.node, c.addr)
			t.noError("pool.Ping", err)
			t.isTrue("alive", alive)
		}},
		{"status-leader", func(c *client, t *report) {
			var leader string
			t.noError("Status.Leader", c.call("Status.Leader", c.inDC(), &leader))
			// A single server leads itself, so its own address is the answer.
			t.equal("leader", leader, c.addr.String())
		}},
		{"status-leader-empty-datacenter", func(c *client, t *report) {
			var leader string
			t.noError("Status.Leader", c.call("Status.Leader", &structs.DCSpecificRequest{}, &leader))
			t.equal("leader", leader, c.addr.String())
		}},
		{"status-peers", func(c *client, t *report) {
			var peers []string
			t.noError("Status.Peers", c.call("Status.Peers", c.inDC(), &peers))
			t.equal("peers", peers, []string{c.addr.String()})
		}},
		{"status-raftstats", func(c *client, t *report) {
			var stats structs.RaftStats
			if t.noError("Status.RaftStats", c.call("Status.RaftStats", struct{}{}, &stats)) {
				// The leader has no contact with itself.
				t.equal("last contact", stats.LastContact, "0")
				t.isTrue("last term is not zero", stats.LastTerm > 0)
				t.isTrue("last index is not zero", stats.LastIndex > 0)
			}
		}},
		{"status-raftstats-follows-writes", func(c *client, t *report) {
			var before, after structs.RaftStats
			t.noError("Status.RaftStats", c.call("Status.RaftStats", struct{}{}, &before))
			t.noError("set", c.set(c.prefix+"raftstats", []byte("v")))
			t.noError("Status.RaftStats", c.call("Status.RaftStats", struct{}{}, &after))
			t.isTrue("last index grows with a write", after.LastIndex > before.LastIndex)
		}},
	}
}
