package main

import (
	"bytes"
	"fmt"
	"math/rand"
	"sync"
)

func loadChecks() []check {
	sized := func(name string, size int) check {
		return check{"value-" + name, func(c *client, t *report) {
			value := make([]byte, size)
			rand.New(rand.NewSource(int64(size))).Read(value)
			c.roundTrip(t, "value-"+name, value)
		}}
	}
	return []check{
		sized("64-kib", 64<<10),
		sized("400-kib", 400<<10),
		sized("1-mib-and-1", 1<<20+1),
		{"list-larger-than-the-window", func(c *client, t *report) {
			at := c.prefix + "large/"
			for i := 0; i < 4; i++ {
				t.noError("set", c.set(fmt.Sprintf("%s%d", at, i), bytes.Repeat([]byte{byte(i)}, 200<<10)))
			}
			got, err := c.list(at)
			if !t.noError("list", err) || !t.equal("entries", len(got.Entries), 4) {
				return
			}
			for i, e := range got.Entries {
				t.isTrue(fmt.Sprintf("value %d is whole", i), bytes.Equal(e.Value, bytes.Repeat([]byte{byte(i)}, 200<<10)))
			}
		}},
		{"concurrent-calls", func(c *client, t *report) {
			const callers, rounds = 50, 10
			failures := make(chan string, callers)
			var all sync.WaitGroup
			for i := 0; i < callers; i++ {
				all.Add(1)
				go func(i int) {
					defer all.Done()
					key := fmt.Sprintf("%sconcurrent/%d", c.prefix, i)
					for round := 0; round < rounds; round++ {
						want := fmt.Sprintf("value %d of caller %d", round, i)
						if err := c.set(key, []byte(want)); err != nil {
							failures <- fmt.Sprintf("caller %d, set: %v", i, err)
							return
						}
						got, err := c.get(key)
						if err != nil || len(got.Entries) != 1 || string(got.Entries[0].Value) != want {
							failures <- fmt.Sprintf("caller %d, get\nwant %q\ngot  %+v, error %v", i, want, got.Entries, err)
							return
						}
					}
				}(i)
			}
			all.Wait()
			close(failures)
			for failure := range failures {
				t.failf("%s", failure)
			}
			got, err := c.listKeys(c.prefix+"concurrent/", "")
			t.noError("list", err)
			t.equal("keys", len(got.Keys), callers)
		}},
	}
}
