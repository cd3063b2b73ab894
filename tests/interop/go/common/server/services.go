package server

import (
	"errors"
	"fmt"
	"strings"

	"oneport.test/interop/common/store"
	"oneport.test/interop/common/wire"
)

// datacenter is the only one that there is.
const datacenter = "dc1"

// The texts are those of Consul 1.13.9, because clients match on them.
var (
	errNoDatacenter = errors.New("No path to datacenter")
	errNoKey        = errors.New("Must provide key")
	errEmptyKey     = errors.New("failed kvs lookup: index error: object is missing a value for this index")
)

func inDatacenter(name string) error {
	if name != "" && name != datacenter {
		return errNoDatacenter
	}
	return nil
}

// Status answers liveness probes.
type Status struct{ leader string }

// Ping answers.
func (s *Status) Ping(args struct{}, reply *struct{}) error { return nil }

// Leader gives the address of this server.
func (s *Status) Leader(args *wire.DCSpecificRequest, reply *string) error {
	*reply = s.leader
	return inDatacenter(args.Datacenter)
}

// KVS reads and writes keys.
type KVS struct{ store *store.Store }

// Apply changes a key; the reply is what a conditional operation decided.
func (k *KVS) Apply(args *wire.KVSRequest, reply *bool) error {
	if err := inDatacenter(args.Datacenter); err != nil {
		return err
	}
	if args.DirEnt.Key == "" && args.Op != wire.OpDeleteTree {
		return errNoKey
	}
	switch args.Op {
	case wire.OpSet:
		k.store.Set(args.DirEnt)
	case wire.OpCAS:
		*reply = k.store.CAS(args.DirEnt)
	case wire.OpDelete:
		k.store.Delete(args.DirEnt.Key)
	case wire.OpDeleteCAS:
		*reply = k.store.DeleteCAS(args.DirEnt.Key, args.DirEnt.ModifyIndex)
	case wire.OpDeleteTree:
		k.store.DeleteTree(args.DirEnt.Key)
	default:
		return fmt.Errorf("raft apply failed: Invalid KVS operation '%s'", args.Op)
	}
	return nil
}

// Get reads a key, and may wait for it.
func (k *KVS) Get(args *wire.KeyRequest, reply *wire.IndexedDirEntries) error {
	if err := inDatacenter(args.Datacenter); err != nil {
		return err
	}
	if args.Key == "" {
		return errEmptyKey
	}
	reply.QueryMeta = meta()
	k.store.Wait(args.QueryOptions, func() uint64 {
		var e *wire.DirEntry
		e, reply.Index = k.store.Get(args.Key)
		if e == nil {
			reply.Entries = nil
			// A query for what is not there waits as long as it stays so.
			return 0
		}
		reply.Entries = []*wire.DirEntry{e}
		return reply.Index
	})
	return nil
}

// List reads all keys that begin with the given one and their values, and may
// wait for news.
func (k *KVS) List(args *wire.KeyRequest, reply *wire.IndexedDirEntries) error {
	if err := inDatacenter(args.Datacenter); err != nil {
		return err
	}
	reply.QueryMeta = meta()
	k.store.Wait(args.QueryOptions, func() uint64 {
		reply.Entries, reply.Index = k.store.List(args.Key)
		return reply.Index
	})
	return nil
}

// ListKeys reads all keys that begin with a prefix, each cut behind the first
// separator that follows the prefix, and may wait for news.
func (k *KVS) ListKeys(args *wire.KeyListRequest, reply *wire.IndexedKeyList) error {
	if err := inDatacenter(args.Datacenter); err != nil {
		return err
	}
	reply.QueryMeta = meta()
	k.store.Wait(args.QueryOptions, func() uint64 {
		var entries []*wire.DirEntry
		entries, reply.Index = k.store.List(args.Prefix)
		reply.Keys = keys(entries, len(args.Prefix), args.Seperator)
		return reply.Index
	})
	return nil
}

func meta() wire.QueryMeta {
	return wire.QueryMeta{KnownLeader: true}
}

func keys(entries []*wire.DirEntry, prefix int, separator string) []string {
	var keys []string
	for _, e := range entries {
		key := e.Key
		if separator != "" {
			if at := strings.Index(key[prefix:], separator); at >= 0 {
				key = key[:prefix+at+len(separator)]
			}
		}
		// The keys are in order, so what is cut alike is side by side.
		if len(keys) == 0 || keys[len(keys)-1] != key {
			keys = append(keys, key)
		}
	}
	return keys
}
