// Package wire has Consul's structs as they go over net/rpc, as far as keys and
// values need them. Their field names are the names on the wire.
package wire

import "time"

// Operations of a KVSRequest.
const (
	OpSet        = "set"
	OpCAS        = "cas"
	OpDelete     = "delete"
	OpDeleteCAS  = "delete-cas"
	OpDeleteTree = "delete-tree"
)

// QueryOptions is part of every request that reads.
type QueryOptions struct {
	Token             string
	MinQueryIndex     uint64
	MaxQueryTime      time.Duration
	AllowStale        bool
	RequireConsistent bool
}

// QueryMeta is part of every answer to one.
type QueryMeta struct {
	Index                 uint64
	LastContact           time.Duration
	KnownLeader           bool
	ConsistencyLevel      string
	NotModified           bool
	Backend               int
	ResultsFilteredByACLs bool
}

// RaftIndex says when something was made and last changed.
type RaftIndex struct {
	CreateIndex uint64
	ModifyIndex uint64
}

// DCSpecificRequest asks a datacenter for something that has no name.
type DCSpecificRequest struct {
	Datacenter string
	QueryOptions
}

// DirEntry is a key and its value.
type DirEntry struct {
	LockIndex uint64
	Key       string
	Flags     uint64
	Value     []byte
	Session   string
	RaftIndex
}

// KVSRequest changes a key, or all keys below one.
type KVSRequest struct {
	Datacenter string
	Op         string
	DirEnt     DirEntry
	Token      string
}

// KeyRequest reads a key, or all entries below one.
type KeyRequest struct {
	Datacenter string
	Key        string
	QueryOptions
}

// KeyListRequest reads the keys below a prefix. The misspelt name is Consul's.
type KeyListRequest struct {
	Datacenter string
	Prefix     string
	Seperator  string
	QueryOptions
}

// IndexedDirEntries answers a KeyRequest.
type IndexedDirEntries struct {
	Entries []*DirEntry
	QueryMeta
}

// IndexedKeyList answers a KeyListRequest.
type IndexedKeyList struct {
	Keys []string
	QueryMeta
}
