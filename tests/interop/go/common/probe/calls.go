package probe

import (
	"errors"
	"fmt"
	"math/rand"
	"net/rpc"
	"reflect"
	"regexp"
	"strconv"
	"sync"
	"time"

	"oneport.test/interop/common/wire"
)

// bodyLimit is oneport's for a request; Consul has none.
const bodyLimit = 8 << 20

// callChecks hold over whatever open opens: a connection or a stream.
func callChecks(over string, open func(*target) (*caller, error)) []check {
	with := func(name string, of kind, run func(c *caller, at string) error) check {
		name = over + "-" + name
		return check{name, of, func(t *target) error {
			c, err := open(t)
			if err != nil {
				return err
			}
			defer c.close()
			return run(c, t.prefix+name+"/")
		}}
	}
	sized := func(name string, size int) check {
		return with("value-"+name, small, func(c *caller, at string) error {
			value := make([]byte, size)
			rand.New(rand.NewSource(int64(size))).Read(value)
			if err := c.set(at, value); err != nil {
				return fmt.Errorf("set: %w", err)
			}
			return c.want(at, value)
		})
	}
	return []check{
		with("ping", small, func(c *caller, _ string) error { return c.ping() }),
		with("leader", small, leader),
		with("set-and-get", small, setAndGet),
		with("cas", small, cas),
		with("delete", small, remove),
		with("list", small, list),
		with("error-texts", small, errorTexts),
		with("unknown-methods-end-it", small, func(c *caller, _ string) error { return unknownMethods(c, open) }),
		with("bad-body", consul, badBody),
		with("pipelined", small, pipelined),
		with("thousand-calls", small, thousandCalls),
		with("blocking-waits", small, blockingWaits),
		with("blocking-times-out", small, blockingTimesOut),
		sized("64-kib", 64<<10),
		sized("400-kib", 400<<10),
		sized("1-mib-and-1", 1<<20+1),
		with("body-too-large", oneport, func(c *caller, at string) error { return tooLarge(c, at, open) }),
	}
}

func leader(c *caller, _ string) error {
	var leader string
	err := c.call("Status.Leader", &wire.DCSpecificRequest{Datacenter: datacenter}, &leader)
	if err == nil && leader == "" {
		return errors.New("there is none")
	}
	return err
}

func setAndGet(c *caller, at string) error {
	if err := c.wantAbsent(at + "absent"); err != nil {
		return err
	}
	e := wire.DirEntry{Key: at + "key", Value: []byte("value \x00\xff"), Flags: 1<<64 - 1}
	ok, err := c.apply(wire.OpSet, e)
	if err != nil || ok {
		return fmt.Errorf("set: want false and no error, got %v, %v", ok, err)
	}
	got, err := c.entry(e.Key)
	if err != nil {
		return err
	}
	if got.CreateIndex == 0 || got.ModifyIndex != got.CreateIndex {
		return fmt.Errorf("a new entry has indexes %+v", got.RaftIndex)
	}
	got.RaftIndex = wire.RaftIndex{}
	if !reflect.DeepEqual(*got, e) {
		return fmt.Errorf("want %+v, got %+v", e, *got)
	}
	if err := c.set(e.Key, nil); err != nil {
		return err
	}
	return c.want(e.Key, nil)
}

func cas(c *caller, at string) error {
	key := at + "key"
	decide := func(op, what string, index uint64, want bool) error {
		ok, err := c.apply(op, wire.DirEntry{Key: key, Value: []byte(what), RaftIndex: wire.RaftIndex{ModifyIndex: index}})
		if err != nil || ok != want {
			return fmt.Errorf("%s with %s: want %v, got %v, %v", op, what, want, ok, err)
		}
		return nil
	}
	if err := decide(wire.OpCAS, "an index of what is absent", 1, false); err != nil {
		return err
	}
	if err := decide(wire.OpCAS, "index 0 of what is absent", 0, true); err != nil {
		return err
	}
	e, err := c.entry(key)
	if err != nil {
		return err
	}
	for _, step := range []error{
		decide(wire.OpCAS, "index 0 of what is there", 0, false),
		decide(wire.OpCAS, "a wrong index", e.ModifyIndex+1, false),
		c.want(key, []byte("index 0 of what is absent")),
		decide(wire.OpCAS, "the index", e.ModifyIndex, true),
		c.want(key, []byte("the index")),
		decide(wire.OpDeleteCAS, "the old index", e.ModifyIndex, false),
		c.want(key, []byte("the index")),
	} {
		if step != nil {
			return step
		}
	}
	if e, err = c.entry(key); err != nil {
		return err
	}
	if err := decide(wire.OpDeleteCAS, "the index", e.ModifyIndex, true); err != nil {
		return err
	}
	return c.wantAbsent(key)
}

func remove(c *caller, at string) error {
	for _, key := range []string{"a", "b/1", "b/2"} {
		if err := c.set(at+key, []byte(key)); err != nil {
			return err
		}
	}
	if _, err := c.apply(wire.OpDelete, wire.DirEntry{Key: at + "a"}); err != nil {
		return err
	}
	if err := c.wantAbsent(at + "a"); err != nil {
		return err
	}
	if _, err := c.apply(wire.OpDeleteTree, wire.DirEntry{Key: at + "b/"}); err != nil {
		return err
	}
	return c.wantAbsent(at + "b/2")
}

func list(c *caller, at string) error {
	want := []string{at + "a", at + "b/1", at + "b/2"}
	for _, key := range want {
		if err := c.set(key, []byte(key)); err != nil {
			return err
		}
	}
	var entries wire.IndexedDirEntries
	if err := c.call("KVS.List", &wire.KeyRequest{Datacenter: datacenter, Key: at}, &entries); err != nil {
		return err
	}
	var got []string
	for _, e := range entries.Entries {
		if string(e.Value) != e.Key {
			return fmt.Errorf("%s has the value %q", e.Key, e.Value)
		}
		got = append(got, e.Key)
	}
	if !reflect.DeepEqual(got, want) {
		return fmt.Errorf("want %q, got %q", want, got)
	}
	var keys wire.IndexedKeyList
	if err := c.call("KVS.ListKeys", &wire.KeyListRequest{Datacenter: datacenter, Prefix: at, Seperator: "/"}, &keys); err != nil {
		return err
	}
	if want := []string{at + "a", at + "b/"}; !reflect.DeepEqual(keys.Keys, want) {
		return fmt.Errorf("want %q, got %q", want, keys.Keys)
	}
	return nil
}

// errorTexts are those after which the connection goes on.
func errorTexts(c *caller, at string) error {
	const elsewhere = "no-such-dc"
	var ok bool
	var text string
	var entries wire.IndexedDirEntries
	for _, step := range []error{
		isText("set without key", c.set("", nil), "Must provide key"),
		isText("an operation that there is not",
			c.call("KVS.Apply", &wire.KVSRequest{Op: "Set", DirEnt: wire.DirEntry{Key: at}}, &ok),
			"raft apply failed: Invalid KVS operation 'Set'"),
		isText("get without key", c.call("KVS.Get", &wire.KeyRequest{}, &entries),
			"failed kvs lookup: index error: object is missing a value for this index"),
		isText("leader elsewhere", c.call("Status.Leader", &wire.DCSpecificRequest{Datacenter: elsewhere}, &text),
			"No path to datacenter"),
		isText("get elsewhere", c.call("KVS.Get", &wire.KeyRequest{Datacenter: elsewhere, Key: at}, &entries),
			"No path to datacenter"),
	} {
		if step != nil {
			return step
		}
	}
	return c.ping()
}

// unknownMethods are answered, and the connection or stream ends behind the
// answer.
func unknownMethods(c *caller, open func(*target) (*caller, error)) error {
	for method, want := range map[string]string{
		"KVS.Nope":   "rpc: can't find method KVS.Nope",
		"Nope.Nope":  "rpc: can't find service Nope.Nope",
		"kvs.Get":    "rpc: can't find service kvs.Get",
		"KVS":        "rpc: service/method request ill-formed: KVS",
		"Status.pin": "rpc: can't find method Status.pin",
	} {
		var reply struct{}
		if err := isText(method, c.call(method, struct{}{}, &reply), want); err != nil {
			return err
		}
		if err := ended(c); err != nil {
			return fmt.Errorf("after %s: %w", method, err)
		}
		another, err := open(c.target)
		if err != nil {
			return err
		}
		defer another.close()
		c = another
	}
	return c.ping()
}

// ended wants no answer any more.
func ended(c *caller) error {
	err := c.ping()
	var said rpc.ServerError
	if err == nil || errors.As(err, &said) {
		return fmt.Errorf("want the end of it, got the answer %v", err)
	}
	return nil
}

func badBody(c *caller, _ string) error {
	var entries wire.IndexedDirEntries
	return isText("a string as body", c.call("KVS.Get", "text", &entries),
		"codec.decoder: Only encoded map or array can be decoded into a struct. (valueType: 6)")
}

// pipelined sends everything before it looks at an answer.
func pipelined(c *caller, at string) error {
	const calls = 200
	key := func(i int) string { return at + strconv.Itoa(i) }
	client := rpc.NewClientWithCodec(c.codec)
	done := make(chan *rpc.Call, 3*calls)
	gets := make([]wire.IndexedDirEntries, calls)
	for i := 0; i < calls; i++ {
		e := wire.DirEntry{Key: key(i), Value: []byte(key(i))}
		client.Go("KVS.Apply", &wire.KVSRequest{Op: wire.OpSet, DirEnt: e}, new(bool), done)
		client.Go("Status.Leader", &wire.DCSpecificRequest{Datacenter: "no-such-dc"}, new(string), done)
		// The server answers one request after the other: the set comes first.
		client.Go("KVS.Get", &wire.KeyRequest{Key: key(i)}, &gets[i], done)
	}
	for i := 0; i < 3*calls; i++ {
		call := <-done
		if call.ServiceMethod == "Status.Leader" {
			if err := isText("leader elsewhere", call.Error, "No path to datacenter"); err != nil {
				return err
			}
		} else if call.Error != nil {
			return fmt.Errorf("%s: %w", call.ServiceMethod, call.Error)
		}
	}
	for i, got := range gets {
		if len(got.Entries) != 1 || got.Entries[0].Key != key(i) || string(got.Entries[0].Value) != key(i) {
			return fmt.Errorf("get %s: got %+v", key(i), got.Entries)
		}
	}
	return nil
}

func thousandCalls(c *caller, at string) error {
	for i := 0; i < 1000; i++ {
		if err := c.ping(); err != nil {
			return fmt.Errorf("call %d: %w", i, err)
		}
	}
	return nil
}

// blockingWaits for news and nothing else.
func blockingWaits(c *caller, at string) error {
	writer, err := c.target.plain()
	if err != nil {
		return err
	}
	defer writer.close()
	if err := writer.set(at, []byte("old")); err != nil {
		return err
	}
	old, err := c.entry(at)
	if err != nil {
		return err
	}
	type answer struct {
		*wire.IndexedDirEntries
		err error
	}
	answered := make(chan answer, 1)
	var begun sync.WaitGroup
	begun.Add(1)
	go func() {
		begun.Done()
		got, err := c.get(at, wire.QueryOptions{MinQueryIndex: old.ModifyIndex, MaxQueryTime: patience})
		answered <- answer{got, err}
	}()
	begun.Wait()
	// What happens to others is no news.
	for i := 0; i < 20; i++ {
		if err := writer.set(at+"other", []byte(strconv.Itoa(i))); err != nil {
			return err
		}
		select {
		case got := <-answered:
			return fmt.Errorf("answered without news: %+v, %v", got.IndexedDirEntries, got.err)
		default:
		}
	}
	if err := writer.set(at, []byte("new")); err != nil {
		return err
	}
	got := <-answered
	if got.err != nil || len(got.Entries) != 1 || string(got.Entries[0].Value) != "new" || got.Index <= old.ModifyIndex {
		return fmt.Errorf("want the new value, got %+v, %v", got.IndexedDirEntries, got.err)
	}
	return nil
}

func blockingTimesOut(c *caller, at string) error {
	if err := c.set(at, []byte("value")); err != nil {
		return err
	}
	old, err := c.entry(at)
	if err != nil {
		return err
	}
	return c.waits(at, old.ModifyIndex, 500*time.Millisecond)
}

// waits wants the unchanged entry, and not too early.
func (c *caller) waits(key string, index uint64, wait time.Duration) error {
	began := time.Now()
	got, err := c.get(key, wire.QueryOptions{MinQueryIndex: index, MaxQueryTime: wait})
	if err != nil || len(got.Entries) != 1 || got.Entries[0].ModifyIndex != index {
		return fmt.Errorf("want the unchanged entry, got %+v, %v", got, err)
	}
	if took := time.Since(began); took < wait {
		return fmt.Errorf("want it after %v, got it after %v", wait, took)
	}
	return nil
}

var refused = regexp.MustCompile(`^request body of ([0-9]+) bytes exceeds ` + strconv.Itoa(bodyLimit) + `$`)

// tooLarge wants the error that names the limit, and no harm to anybody else.
func tooLarge(c *caller, at string, open func(*target) (*caller, error)) error {
	err := c.set(at, make([]byte, bodyLimit+1))
	var said rpc.ServerError
	if !errors.As(err, &said) {
		return fmt.Errorf("want the server's error, got %v", err)
	}
	found := refused.FindStringSubmatch(string(said))
	if found == nil {
		return fmt.Errorf("want an error like %q, got %q", refused, said)
	}
	if size, err := strconv.Atoi(found[1]); err != nil || size <= bodyLimit {
		return fmt.Errorf("a size that need not be refused: %q", said)
	}
	another, err := open(c.target)
	if err != nil {
		return err
	}
	defer another.close()
	return another.wantAbsent(at)
}
