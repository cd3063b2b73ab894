package main

import (
	"time"

	"github.com/hashicorp/consul/agent/structs"
)

// slack is how late a loaded machine may be. Nothing may be early.
const slack = 5 * time.Second

type answer struct {
	reply structs.IndexedDirEntries
	err   error
	after time.Duration
}

// ask starts a blocking call and gives back where its answer will appear.
func (c *client) ask(method, key string, index uint64, atMost time.Duration) <-chan answer {
	answers := make(chan answer, 1)
	go func() {
		var a answer
		start := time.Now()
		a.err = c.call(method, &structs.KeyRequest{
			Datacenter:   c.dc,
			Key:          key,
			QueryOptions: structs.QueryOptions{MinQueryIndex: index, MaxQueryTime: atMost},
		}, &a.reply)
		a.after = time.Since(start)
		answers <- a
	}()
	return answers
}

// stillWaiting says that no answer has come for the given time.
func stillWaiting(t *report, answers <-chan answer, for_ time.Duration) bool {
	select {
	case a := <-answers:
		t.failf("the query should wait\nwant no answer within %v\ngot  one after %v: %+v, error %v", for_, a.after, a.reply, a.err)
		return false
	case <-time.After(for_):
		return true
	}
}

// answered waits for the answer, which must come now.
func answered(t *report, answers <-chan answer) (answer, bool) {
	select {
	case a := <-answers:
		return a, t.noError("blocking query", a.err)
	case <-time.After(slack):
		t.failf("the query should have been woken\nwant an answer\ngot  none within %v", slack)
		return answer{}, false
	}
}

func blockingChecks() []check {
	const early = 300 * time.Millisecond
	return []check{
		{"blocking-woken-by-set", func(c *client, t *report) {
			key := c.prefix + "blocking/set"
			t.noError("set", c.set(key, []byte("one")))
			index := c.modifyIndex(t, key)
			answers := c.ask("KVS.Get", key, index, time.Minute)
			if !stillWaiting(t, answers, early) {
				return
			}
			t.noError("set", c.set(key, []byte("two")))
			if a, ok := answered(t, answers); ok && t.equal("entries", len(a.reply.Entries), 1) {
				t.equal("value", string(a.reply.Entries[0].Value), "two")
				t.isTrue("index grows", a.reply.Index > index)
				t.equal("index", a.reply.Index, a.reply.Entries[0].ModifyIndex)
			}
		}},
		{"blocking-woken-by-create", func(c *client, t *report) {
			key := c.prefix + "blocking/create"
			miss, err := c.get(key)
			t.noError("get", err)
			answers := c.ask("KVS.Get", key, miss.Index, time.Minute)
			if !stillWaiting(t, answers, early) {
				return
			}
			t.noError("set", c.set(key, []byte("new")))
			if a, ok := answered(t, answers); ok && t.equal("entries", len(a.reply.Entries), 1) {
				t.equal("value", string(a.reply.Entries[0].Value), "new")
			}
		}},
		{"blocking-woken-by-delete", func(c *client, t *report) {
			key := c.prefix + "blocking/delete"
			t.noError("set", c.set(key, []byte("one")))
			index := c.modifyIndex(t, key)
			answers := c.ask("KVS.Get", key, index, time.Minute)
			if !stillWaiting(t, answers, early) {
				return
			}
			_, err := c.apply(opDelete, entry{Key: key})
			t.noError("delete", err)
			if a, ok := answered(t, answers); ok {
				t.equal("entries", len(a.reply.Entries), 0)
				t.isTrue("index grows", a.reply.Index > index)
			}
		}},
		{"blocking-list-woken", func(c *client, t *report) {
			at := c.prefix + "blocking-list/"
			t.noError("set", c.set(at+"a", []byte("1")))
			before, err := c.list(at)
			t.noError("list", err)
			answers := c.ask("KVS.List", at, before.Index, time.Minute)
			if !stillWaiting(t, answers, early) {
				return
			}
			t.noError("set", c.set(at+"b", []byte("2")))
			if a, ok := answered(t, answers); ok {
				t.equal("entries", len(a.reply.Entries), 2)
				t.isTrue("index grows", a.reply.Index > before.Index)
			}
		}},
		{"blocking-times-out", func(c *client, t *report) {
			key := c.prefix + "blocking/time"
			t.noError("set", c.set(key, []byte("one")))
			index := c.modifyIndex(t, key)
			asked := 800 * time.Millisecond
			a := <-c.ask("KVS.Get", key, index, asked)
			if !t.noError("get", a.err) {
				return
			}
			t.isTrue("not before the asked time", a.after >= asked)
			t.isTrue("not much after it", a.after <= asked+asked/16+slack)
			t.equal("entries", len(a.reply.Entries), 1)
			t.equal("index", a.reply.Index, index)
		}},
		{"blocking-not-woken-by-others", func(c *client, t *report) {
			key := c.prefix + "blocking/others"
			t.noError("set", c.set(key, []byte("one")))
			index := c.modifyIndex(t, key)
			asked := 800 * time.Millisecond
			answers := c.ask("KVS.Get", key, index, asked)
			t.noError("set of another key", c.set(key+"-2", []byte("x")))
			t.noError("set of the same value", c.set(key, []byte("one")))
			a := <-answers
			if t.noError("get", a.err) {
				t.isTrue("not before the asked time", a.after >= asked)
				t.equal("index", a.reply.Index, index)
			}
		}},
		{"blocking-old-index-answers-at-once", func(c *client, t *report) {
			key := c.prefix + "blocking/old"
			t.noError("set", c.set(key, []byte("one")))
			index := c.modifyIndex(t, key)
			if a, ok := answered(t, c.ask("KVS.Get", key, index-1, time.Minute)); ok {
				t.equal("entries", len(a.reply.Entries), 1)
			}
		}},
		{"blocking-time-without-index-answers-at-once", func(c *client, t *report) {
			key := c.prefix + "blocking/no-index"
			t.noError("set", c.set(key, []byte("one")))
			if a, ok := answered(t, c.ask("KVS.Get", key, 0, time.Minute)); ok {
				t.equal("entries", len(a.reply.Entries), 1)
			}
		}},
		{"blocking-leaves-other-streams-free", func(c *client, t *report) {
			key := c.prefix + "blocking/free"
			t.noError("set", c.set(key, []byte("one")))
			index := c.modifyIndex(t, key)
			var waiting []<-chan answer
			for i := 0; i < 20; i++ {
				waiting = append(waiting, c.ask("KVS.Get", key, index, time.Minute))
			}
			var out struct{}
			start := time.Now()
			for i := 0; i < 20; i++ {
				t.noError("Status.Ping", c.call("Status.Ping", struct{}{}, &out))
			}
			t.isTrue("pings do not wait for queries", time.Since(start) < slack)
			t.noError("set", c.set(key, []byte("two")))
			for _, answers := range waiting {
				if a, ok := answered(t, answers); ok && t.equal("entries", len(a.reply.Entries), 1) {
					t.equal("value", string(a.reply.Entries[0].Value), "two")
				}
			}
		}},
	}
}
