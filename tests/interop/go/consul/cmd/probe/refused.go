package main

import (
	"fmt"
	"os"
	"sort"
	"strings"

	"github.com/hashicorp/consul/acl"
	"github.com/hashicorp/consul/agent/structs"
)

// recognised are Consul's own ways to know a refusal by its text, as it comes
// through the pool.
var recognised = map[string]func(error) bool{
	"rate":      structs.IsErrRPCRateExceeded,
	"leader":    structs.IsErrNoLeader,
	"denied":    acl.IsErrPermissionDenied,
	"not-found": acl.IsErrNotFound,
}

// texts are refusals that Consul 1.13 does not know; later ones compare them.
var texts = map[string]string{
	"elsewhere": "rate limit exceeded, try again later or against a different server",
	"later":     "rate limit exceeded for operation that can only be performed by the leader, try again later",
}

// mostCalls is how many calls a server may serve before it refuses one.
const mostCalls = 8

// refused calls a server until it refuses, and says whether it did so in the
// expected way and in no other.
func refused(c *client, kind, token, key string, write bool) {
	_, known := recognised[kind]
	text, literal := texts[kind]
	if !known && !literal {
		fmt.Fprintf(os.Stderr, "probe: no refusal is called %q\n", kind)
		os.Exit(2)
	}
	var err error
	for i := 0; i < mostCalls && err == nil; i++ {
		err = c.once(token, key, write)
	}
	if err == nil {
		fmt.Printf("FAIL refused\n     want %s\n     got  %d answers\n", kind, mostCalls)
		os.Exit(1)
	}
	var is []string
	for name, recognises := range recognised {
		if recognises(err) {
			is = append(is, name)
		}
	}
	for name, text := range texts {
		if err.Error() == callPrefix+text {
			is = append(is, name)
		}
	}
	sort.Strings(is)
	if got := strings.Join(is, ", "); got != kind {
		fmt.Printf("FAIL refused\n     want %s %s\n     got  %s: %v\n", kind, text, got, err)
		os.Exit(1)
	}
	fmt.Println(strings.TrimPrefix(err.Error(), callPrefix))
}

// once reads or writes a key, as the holder of token.
func (c *client) once(token, key string, write bool) error {
	if write {
		var ok bool
		return c.call("KVS.Apply", &structs.KVSRequest{
			Datacenter: c.dc, Op: opSet, DirEnt: entry{Key: key}, WriteRequest: structs.WriteRequest{Token: token},
		}, &ok)
	}
	_, err := c.getWith(key, structs.QueryOptions{Token: token})
	return err
}
