package server

import (
	"sync"
	"time"

	"oneport.test/interop/common/transport"
)

// Peer lets a test decide what this end of its sessions does, and when.
type Peer struct {
	lock     sync.Mutex
	sessions map[transport.Session]struct{}
}

// SleepRequest says how long to sleep.
type SleepRequest struct{ Time time.Duration }

// Sleep answers after a time.
func (p *Peer) Sleep(args *SleepRequest, reply *struct{}) error {
	time.Sleep(args.Time)
	return nil
}

// FillRequest says how much to answer.
type FillRequest struct{ Size int }

// Fill answers with so many bytes.
func (p *Peer) Fill(args *FillRequest, reply *[]byte) error {
	*reply = make([]byte, args.Size)
	return nil
}

// GoAway tells the other ends of all sessions to open no more streams, and
// answers with their number.
func (p *Peer) GoAway(args struct{}, reply *int) error {
	for _, session := range p.all() {
		if err := session.GoAway(); err != nil {
			return err
		}
		*reply++
	}
	return nil
}

// Close ends all sessions with everything in them, the one that asks too.
func (p *Peer) Close(args struct{}, reply *int) error {
	for _, session := range p.all() {
		if err := session.Close(); err != nil {
			return err
		}
		*reply++
	}
	return nil
}

// Ping pings the other ends of all sessions, and answers with the number of
// those that answered.
func (p *Peer) Ping(args struct{}, reply *int) error {
	for _, session := range p.all() {
		if _, err := session.Ping(); err != nil {
			return err
		}
		*reply++
	}
	return nil
}

// Streams answers with the number of streams that are open in all sessions,
// the one that asks too.
func (p *Peer) Streams(args struct{}, reply *int) error {
	for _, session := range p.all() {
		*reply += session.NumStreams()
	}
	return nil
}

// Open opens a stream to the other end in all sessions, which only a server of
// streams would accept, and answers with the number that it refused.
func (p *Peer) Open(args struct{}, reply *int) error {
	for _, session := range p.all() {
		stream, err := session.Open()
		if err != nil {
			return err
		}
		if _, err := stream.Read(make([]byte, 1)); err != nil {
			*reply++
		}
		stream.Close()
	}
	return nil
}

func (p *Peer) enter(session transport.Session) {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.sessions[session] = struct{}{}
}

func (p *Peer) leave(session transport.Session) {
	p.lock.Lock()
	defer p.lock.Unlock()
	delete(p.sessions, session)
}

func (p *Peer) all() []transport.Session {
	p.lock.Lock()
	defer p.lock.Unlock()
	all := make([]transport.Session, 0, len(p.sessions))
	for session := range p.sessions {
		all = append(all, session)
	}
	return all
}
