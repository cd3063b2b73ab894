// Package store is a map of keys behind a lock, with an index that rises with
// every change and readers that wait for it.
package store

import (
	"sort"
	"strings"
	"sync"
	"time"

	"oneport.test/interop/common/wire"
)

// Times of a query that waits: Consul's default_query_time and max_query_time.
const (
	DefaultQueryTime = 300 * time.Second
	MaxQueryTime     = 600 * time.Second
)

// Store is a map of keys. Entries are never changed, only replaced, so that
// readers may keep them.
type Store struct {
	lock    sync.RWMutex
	entries map[string]*wire.DirEntry
	// keys are those of entries in order, so that a list need not sort.
	keys  []string
	index uint64
	// changed is closed and replaced by every change.
	changed chan struct{}
}

// New is an empty store. Its index is never 0, so that a client that passes it
// on always waits.
func New() *Store {
	return &Store{
		entries: make(map[string]*wire.DirEntry),
		index:   1,
		changed: make(chan struct{}),
	}
}

// Set stores an entry.
func (s *Store) Set(e wire.DirEntry) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.set(e)
}

// CAS stores an entry if its ModifyIndex is that of the one there, or 0 if
// there is none, and says whether it did.
func (s *Store) CAS(e wire.DirEntry) bool {
	s.lock.Lock()
	defer s.lock.Unlock()
	if !s.is(e.Key, e.ModifyIndex) {
		return false
	}
	s.set(e)
	return true
}

// Delete removes a key.
func (s *Store) Delete(key string) {
	s.lock.Lock()
	defer s.lock.Unlock()
	s.remove(key)
}

// DeleteCAS removes a key if it has this ModifyIndex, and says whether it did.
// A key that is not there counts as removed, whatever the index is.
func (s *Store) DeleteCAS(key string, modified uint64) bool {
	s.lock.Lock()
	defer s.lock.Unlock()
	if s.entries[key] != nil && !s.is(key, modified) {
		return false
	}
	s.remove(key)
	return true
}

// DeleteTree removes all keys that begin with a prefix.
func (s *Store) DeleteTree(prefix string) {
	s.lock.Lock()
	defer s.lock.Unlock()
	from, to := s.below(prefix)
	if from == to {
		return
	}
	for _, key := range s.keys[from:to] {
		delete(s.entries, key)
	}
	s.keys = append(s.keys[:from], s.keys[to:]...)
	s.tick()
}

// Get gives the entry of a key or nil, and its index.
func (s *Store) Get(key string) (*wire.DirEntry, uint64) {
	s.lock.RLock()
	defer s.lock.RUnlock()
	if e := s.entries[key]; e != nil {
		return e, e.ModifyIndex
	}
	return nil, s.index
}

// List gives all entries that begin with a prefix, in order of their keys, or
// nil, and the store's index.
func (s *Store) List(prefix string) ([]*wire.DirEntry, uint64) {
	s.lock.RLock()
	defer s.lock.RUnlock()
	from, to := s.below(prefix)
	if from == to {
		return nil, s.index
	}
	entries := make([]*wire.DirEntry, 0, to-from)
	for _, key := range s.keys[from:to] {
		entries = append(entries, s.entries[key])
	}
	return entries, s.index
}

// Wait runs read, and again after every change until its index is above the
// one that the options name or their time is over. Without an index it runs
// once.
func (s *Store) Wait(options wire.QueryOptions, read func() uint64) {
	if options.MinQueryIndex == 0 {
		read()
		return
	}
	patience := options.MaxQueryTime
	if patience <= 0 {
		patience = DefaultQueryTime
	}
	timer := time.NewTimer(min(patience, MaxQueryTime))
	defer timer.Stop()
	for {
		// Before the read: what changes after it is not missed.
		s.lock.RLock()
		changed := s.changed
		s.lock.RUnlock()
		if read() > options.MinQueryIndex {
			return
		}
		select {
		case <-changed:
		case <-timer.C:
			return
		}
	}
}

func (s *Store) is(key string, modified uint64) bool {
	e := s.entries[key]
	if e == nil {
		return modified == 0
	}
	return e.ModifyIndex == modified
}

func (s *Store) set(e wire.DirEntry) {
	s.tick()
	e.CreateIndex, e.ModifyIndex = s.index, s.index
	if old := s.entries[e.Key]; old != nil {
		e.CreateIndex = old.CreateIndex
	} else {
		at := sort.SearchStrings(s.keys, e.Key)
		s.keys = append(s.keys, "")
		copy(s.keys[at+1:], s.keys[at:])
		s.keys[at] = e.Key
	}
	s.entries[e.Key] = &e
}

func (s *Store) remove(key string) {
	if s.entries[key] == nil {
		return
	}
	delete(s.entries, key)
	at := sort.SearchStrings(s.keys, key)
	s.keys = append(s.keys[:at], s.keys[at+1:]...)
	s.tick()
}

// below gives the range of keys that begin with a prefix.
func (s *Store) below(prefix string) (from, to int) {
	from = sort.SearchStrings(s.keys, prefix)
	to = from + sort.Search(len(s.keys)-from, func(i int) bool {
		return !strings.HasPrefix(s.keys[from+i], prefix)
	})
	return from, to
}

func (s *Store) tick() {
	s.index++
	close(s.changed)
	s.changed = make(chan struct{})
}
