package main

import (
	"bytes"

	"github.com/hashicorp/consul/agent/structs"
)

func kvChecks() []check {
	return []check{
		{"kvs-set-get", func(c *client, t *report) {
			key := c.prefix + "set-get"
			ok, err := c.apply(opSet, entry{Key: key, Value: []byte("one"), Flags: 42})
			t.noError("set", err)
			t.equal("reply of a set", ok, false)
			got, err := c.get(key)
			t.noError("get", err)
			if !t.equal("entries", len(got.Entries), 1) {
				return
			}
			e := got.Entries[0]
			t.equal("key", e.Key, key)
			t.equal("value", string(e.Value), "one")
			t.equal("flags", e.Flags, uint64(42))
			t.equal("session", e.Session, "")
			t.equal("lock index", e.LockIndex, uint64(0))
			t.isTrue("create index is not zero", e.CreateIndex > 0)
			t.equal("modify index of a new key", e.ModifyIndex, e.CreateIndex)
			t.equal("index of the reply", got.Index, e.ModifyIndex)
			t.equal("known leader", got.KnownLeader, true)
			t.equal("last contact", got.LastContact.Nanoseconds(), int64(0))
			t.equal("not modified", got.NotModified, false)
			t.equal("filtered by ACLs", got.ResultsFilteredByACLs, false)
		}},
		{"kvs-overwrite", func(c *client, t *report) {
			key := c.prefix + "overwrite"
			t.noError("set", c.set(key, []byte("one")))
			before, err := c.get(key)
			t.noError("get", err)
			t.noError("set", c.set(key, []byte("two")))
			after, err := c.get(key)
			t.noError("get", err)
			if !t.equal("entries", []int{len(before.Entries), len(after.Entries)}, []int{1, 1}) {
				return
			}
			t.equal("value", string(after.Entries[0].Value), "two")
			t.equal("create index stays", after.Entries[0].CreateIndex, before.Entries[0].CreateIndex)
			t.isTrue("modify index grows", after.Entries[0].ModifyIndex > before.Entries[0].ModifyIndex)
		}},
		{"kvs-set-same-value-changes-nothing", func(c *client, t *report) {
			key := c.prefix + "same"
			t.noError("set", c.set(key, []byte("same")))
			before, err := c.get(key)
			t.noError("get", err)
			t.noError("set", c.set(key, []byte("same")))
			after, err := c.get(key)
			t.noError("get", err)
			if t.equal("entries", []int{len(before.Entries), len(after.Entries)}, []int{1, 1}) {
				t.equal("modify index", after.Entries[0].ModifyIndex, before.Entries[0].ModifyIndex)
			}
		}},
		{"kvs-get-miss", func(c *client, t *report) {
			got, err := c.get(c.prefix + "nothing-here")
			t.noError("get", err)
			t.equal("entries are nil", got.Entries == nil, true)
			t.isTrue("index is never zero", got.Index > 0)
			t.equal("known leader", got.KnownLeader, true)
		}},
		{"kvs-get-is-exact", func(c *client, t *report) {
			t.noError("set", c.set(c.prefix+"exact/below", []byte("x")))
			got, err := c.get(c.prefix + "exact/")
			t.noError("get", err)
			t.equal("entries", len(got.Entries), 0)
		}},
		{"kvs-flags-max", func(c *client, t *report) {
			key := c.prefix + "flags"
			_, err := c.apply(opSet, entry{Key: key, Flags: ^uint64(0)})
			t.noError("set", err)
			got, err := c.get(key)
			t.noError("get", err)
			if t.equal("entries", len(got.Entries), 1) {
				t.equal("flags", got.Entries[0].Flags, ^uint64(0))
			}
		}},
		{"kvs-binary-value", func(c *client, t *report) {
			// 300 bytes: longer than any one-byte length, every byte value in it.
			value := make([]byte, 300)
			for i := range value {
				value[i] = byte(i * 7)
			}
			c.roundTrip(t, "binary", value)
		}},
		{"kvs-empty-value", func(c *client, t *report) {
			c.roundTrip(t, "empty", []byte{})
		}},
		{"kvs-length-borders", func(c *client, t *report) {
			// The msgpack headers of raw strings change at these lengths.
			for _, n := range []int{1, 31, 32, 255, 256, 65535, 65536} {
				c.roundTrip(t, "borders", bytes.Repeat([]byte{0xc1}, n))
			}
		}},
		{"kvs-odd-keys", func(c *client, t *report) {
			keys := []string{
				"blank in key", "/leading", "double//slash", "per%cent", "nul\x00byte", "\xff\xfe not utf8", "ünïcode",
				string(bytes.Repeat([]byte("long"), 150)),
			}
			for _, key := range keys {
				key = c.prefix + key
				t.noError("set", c.set(key, []byte(key)))
				got, err := c.get(key)
				t.noError("get", err)
				if t.equal("entries of "+key, len(got.Entries), 1) {
					t.equal("key", got.Entries[0].Key, key)
					t.equal("value", string(got.Entries[0].Value), key)
				}
			}
		}},
		{"kvs-stale", func(c *client, t *report) {
			key := c.prefix + "stale"
			t.noError("set", c.set(key, []byte("v")))
			got, err := c.getWith(key, structs.QueryOptions{AllowStale: true})
			t.noError("get", err)
			t.equal("entries", len(got.Entries), 1)
			t.equal("known leader", got.KnownLeader, true)
		}},
		{"kvs-consistent", func(c *client, t *report) {
			key := c.prefix + "consistent"
			t.noError("set", c.set(key, []byte("v")))
			got, err := c.getWith(key, structs.QueryOptions{RequireConsistent: true})
			t.noError("get", err)
			t.equal("entries", len(got.Entries), 1)
		}},
		{"kvs-empty-datacenter-is-the-own", func(c *client, t *report) {
			key := c.prefix + "empty-dc"
			var ok bool
			t.noError("set", c.call("KVS.Apply", &structs.KVSRequest{Op: opSet, DirEnt: entry{Key: key, Value: []byte("v")}}, &ok))
			var reply structs.IndexedDirEntries
			t.noError("get", c.call("KVS.Get", &structs.KeyRequest{Key: key}, &reply))
			t.equal("entries", len(reply.Entries), 1)
		}},
		{"kvs-cas", func(c *client, t *report) {
			key := c.prefix + "cas"
			ok, err := c.apply(opCAS, entry{Key: key, Value: []byte("first")})
			t.noError("cas 0, absent", err)
			t.equal("cas 0 on an absent key", ok, true)
			ok, err = c.apply(opCAS, entry{Key: key, Value: []byte("again")})
			t.noError("cas 0, present", err)
			t.equal("cas 0 on a present key", ok, false)
			index := c.modifyIndex(t, key)
			ok, err = c.apply(opCAS, entry{Key: key, Value: []byte("wrong"), RaftIndex: structs.RaftIndex{ModifyIndex: index + 1000}})
			t.noError("cas wrong", err)
			t.equal("cas with a wrong index", ok, false)
			ok, err = c.apply(opCAS, entry{Key: key, Value: []byte("right"), RaftIndex: structs.RaftIndex{ModifyIndex: index}})
			t.noError("cas right", err)
			t.equal("cas with the right index", ok, true)
			ok, err = c.apply(opCAS, entry{Key: key, Value: []byte("late"), RaftIndex: structs.RaftIndex{ModifyIndex: index}})
			t.noError("cas late", err)
			t.equal("cas with an index that has passed", ok, false)
			c.wantValue(t, key, "right")
		}},
		{"kvs-cas-absent-with-index", func(c *client, t *report) {
			ok, err := c.apply(opCAS, entry{Key: c.prefix + "cas-absent", RaftIndex: structs.RaftIndex{ModifyIndex: 7}})
			t.noError("cas", err)
			t.equal("reply", ok, false)
		}},
		{"kvs-delete", func(c *client, t *report) {
			key := c.prefix + "delete"
			t.noError("set", c.set(key, []byte("v")))
			_, err := c.apply(opDelete, entry{Key: key})
			t.noError("delete", err)
			got, err := c.get(key)
			t.noError("get", err)
			t.equal("entries", len(got.Entries), 0)
			_, err = c.apply(opDelete, entry{Key: key})
			t.noError("delete of an absent key", err)
		}},
		{"kvs-delete-cas", func(c *client, t *report) {
			key := c.prefix + "delete-cas"
			t.noError("set", c.set(key, []byte("v")))
			index := c.modifyIndex(t, key)
			ok, err := c.apply(opDeleteCAS, entry{Key: key, RaftIndex: structs.RaftIndex{ModifyIndex: index + 1000}})
			t.noError("wrong", err)
			t.equal("wrong index", ok, false)
			ok, err = c.apply(opDeleteCAS, entry{Key: key})
			t.noError("zero", err)
			t.equal("index 0 on a present key", ok, false)
			c.wantValue(t, key, "v")
			ok, err = c.apply(opDeleteCAS, entry{Key: key, RaftIndex: structs.RaftIndex{ModifyIndex: index}})
			t.noError("right", err)
			t.equal("right index", ok, true)
			ok, err = c.apply(opDeleteCAS, entry{Key: key, RaftIndex: structs.RaftIndex{ModifyIndex: index}})
			t.noError("absent", err)
			t.equal("absent key", ok, true)
		}},
		{"kvs-delete-tree", func(c *client, t *report) {
			tree := c.prefix + "tree"
			for _, key := range []string{"/a", "/b/c", "top", ""} {
				t.noError("set", c.set(tree+key, []byte("v")))
			}
			_, err := c.apply(opDeleteTree, entry{Key: tree + "/"})
			t.noError("delete-tree", err)
			got, err := c.listKeys(tree, "")
			t.noError("list", err)
			t.equal("keys left", got.Keys, []string{tree, tree + "top"})
		}},
		{"kvs-list", func(c *client, t *report) {
			at := c.prefix + "list/"
			for _, key := range []string{"b", "a", "a/1", "a0"} {
				t.noError("set", c.set(at+key, []byte("value of "+key)))
			}
			got, err := c.list(at)
			t.noError("list", err)
			var keys, values []string
			var newest uint64
			for _, e := range got.Entries {
				keys = append(keys, e.Key)
				values = append(values, string(e.Value))
				newest = max(newest, e.ModifyIndex)
			}
			t.equal("keys, bytewise order", keys, []string{at + "a", at + "a/1", at + "a0", at + "b"})
			t.equal("values", values, []string{"value of a", "value of a/1", "value of a0", "value of b"})
			t.equal("index of the reply", got.Index, newest)
		}},
		{"kvs-list-miss", func(c *client, t *report) {
			got, err := c.list(c.prefix + "no-such-prefix/")
			t.noError("list", err)
			t.equal("entries are nil", got.Entries == nil, true)
			t.isTrue("index is never zero", got.Index > 0)
		}},
		{"kvs-listkeys", func(c *client, t *report) {
			at := c.prefix + "keys/"
			for _, key := range []string{"a", "b/1", "b/2", "b/c/3", "d"} {
				t.noError("set", c.set(at+key, []byte("v")))
			}
			for _, want := range []struct {
				prefix, separator string
				keys              []string
			}{
				{at, "", []string{at + "a", at + "b/1", at + "b/2", at + "b/c/3", at + "d"}},
				{at, "/", []string{at + "a", at + "b/", at + "d"}},
				{at + "b/", "/", []string{at + "b/1", at + "b/2", at + "b/c/"}},
				{c.prefix + "keys", "/", []string{at}},
				{at, "/c/", []string{at + "a", at + "b/1", at + "b/2", at + "b/c/", at + "d"}},
			} {
				got, err := c.listKeys(want.prefix, want.separator)
				t.noError("list", err)
				t.equal("keys below "+want.prefix+" cut at "+want.separator, got.Keys, want.keys)
			}
		}},
		{"kvs-unlock-without-lock", func(c *client, t *report) {
			key := c.prefix + "unlock"
			t.noError("set", c.set(key, []byte("v")))
			ok, err := c.apply(opUnlock, entry{Key: key, Session: "deadbeef-0000-4000-8000-00000000abcd"})
			t.noError("unlock", err)
			t.equal("reply", ok, false)
			c.wantValue(t, key, "v")
		}},
	}
}

// roundTrip stores a value and wants the same bytes back.
func (c *client) roundTrip(t *report, name string, value []byte) {
	key := c.prefix + name
	if !t.noError("set", c.set(key, value)) {
		return
	}
	got, err := c.get(key)
	if !t.noError("get", err) || !t.equal("entries", len(got.Entries), 1) {
		return
	}
	if !bytes.Equal(got.Entries[0].Value, value) {
		t.failf("value of %d bytes\nwant the bytes that were sent\ngot  %d other bytes", len(value), len(got.Entries[0].Value))
	}
}

// modifyIndex reads the index that the next cas must carry.
func (c *client) modifyIndex(t *report, key string) uint64 {
	got, err := c.get(key)
	if !t.noError("get", err) || !t.equal("entries", len(got.Entries), 1) {
		return 0
	}
	return got.Entries[0].ModifyIndex
}

func (c *client) wantValue(t *report, key, want string) {
	got, err := c.get(key)
	if t.noError("get", err) && t.equal("entries", len(got.Entries), 1) {
		t.equal("value", string(got.Entries[0].Value), want)
	}
}
