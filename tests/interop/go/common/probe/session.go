package probe

import (
	"errors"
	"fmt"
	"io"
	"math/rand"
	"strconv"
	"sync/atomic"
	"syscall"
	"time"

	"oneport.test/interop/common/transport"
	"oneport.test/interop/common/wire"
)

// sessionChecks are about many streams in one session.
func sessionChecks() []check {
	with := func(name string, run func(s *session, at string) error) check {
		name = "session-" + name
		return check{name, small, func(t *target) error {
			s, err := t.session()
			if err != nil {
				return err
			}
			defer s.Close()
			return run(s, t.prefix+name+"/")
		}}
	}
	return []check{
		with("ping", func(s *session, _ string) error {
			for i := 0; i < 10; i++ {
				if _, err := s.Ping(); err != nil {
					return fmt.Errorf("ping %d: %w", i, err)
				}
			}
			return nil
		}),
		with("polls-300", func(s *session, at string) error { return polled(s, at, 300) }),
		with("polls-700", func(s *session, at string) error { return polled(s, at, 700) }),
		with("thousand-streams-in-a-row", thousandStreams),
		with("hundred-streams-at-once", func(s *session, at string) error {
			return together(100, func(i int) error {
				c, err := s.caller()
				if err != nil {
					return err
				}
				defer c.close()
				return c.rounds(at+strconv.Itoa(i), 10)
			})
		}),
		with("values-at-once", valuesAtOnce),
		with("unread-answer", unreadAnswer),
		with("cancelled-streams", cancelledStreams),
		with("survives-errors", survivesErrors),
		with("go-away-from-client", goAwayFromClient),
		with("closed-with-calls-in-flight", closedInFlight),
		{"session-refuses-one-body-only", oneport, refusesOneBody},
		{"session-twenty-at-once", small, func(t *target) error {
			return together(20, func(i int) error {
				s, err := t.session()
				if err != nil {
					return err
				}
				defer s.Close()
				return together(8, func(j int) error {
					c, err := s.caller()
					if err != nil {
						return err
					}
					defer c.close()
					return c.rounds(fmt.Sprintf("%stwenty-sessions/%d/%d", t.prefix, i, j), 5)
				})
			})
		}},
	}
}

// polls are blocking queries for one key, each in a stream of its own.
type polls struct {
	key      string
	index    uint64
	answered atomic.Int64
	done     chan error
	count    int
}

// poll sends count queries and comes back when the server has them: all have
// written, and a ping that was sent behind them has come back.
func poll(s *session, key string, count int) (*polls, error) {
	c, err := s.caller()
	if err != nil {
		return nil, err
	}
	defer c.close()
	if err := c.set(key, []byte("old")); err != nil {
		return nil, err
	}
	old, err := c.entry(key)
	if err != nil {
		return nil, err
	}
	p := &polls{key: key, index: old.ModifyIndex, done: make(chan error, count), count: count}
	written := make(chan struct{}, count)
	for i := 0; i < count; i++ {
		go func() {
			err := p.one(s, func() { written <- struct{}{} })
			p.answered.Add(1)
			p.done <- err
		}()
	}
	for i := 0; i < count; i++ {
		select {
		case <-written:
		case err := <-p.done:
			return nil, fmt.Errorf("a query ended before there was news: %v", err)
		}
	}
	if _, err := s.Ping(); err != nil {
		return nil, fmt.Errorf("a ping beside %d queries: %w", count, err)
	}
	return p, nil
}

func (p *polls) one(s *session, written func()) error {
	c, err := s.caller()
	if err != nil {
		return err
	}
	defer c.close()
	c.codec = tellWritten{c.codec, written}
	got, err := c.get(p.key, wire.QueryOptions{MinQueryIndex: p.index, MaxQueryTime: 2 * patience})
	if err != nil {
		return err
	}
	if len(got.Entries) != 1 || string(got.Entries[0].Value) != "new" || got.Index <= p.index {
		return fmt.Errorf("want the new value, got %+v", got)
	}
	return nil
}

// wake makes the news, and wants an answer to each query.
func (p *polls) wake(c *caller) error {
	if n := p.answered.Load(); n > 0 {
		return fmt.Errorf("%d queries were answered before there was news", n)
	}
	if err := c.set(p.key, []byte("new")); err != nil {
		return err
	}
	return p.all()
}

func (p *polls) all() error {
	for i := 0; i < p.count; i++ {
		if err := <-p.done; err != nil {
			return fmt.Errorf("answer %d of %d: %w", i, p.count, err)
		}
	}
	return nil
}

func polled(s *session, at string, count int) error {
	p, err := poll(s, at, count)
	if err != nil {
		return err
	}
	c, err := s.caller()
	if err != nil {
		return err
	}
	if err := p.wake(c); err != nil {
		return err
	}
	c.close()
	return s.emptied()
}

func thousandStreams(s *session, _ string) error {
	for i := 0; i < 1000; i++ {
		if err := s.works(); err != nil {
			return fmt.Errorf("stream %d: %w", i, err)
		}
	}
	return s.emptied()
}

// valuesAtOnce are larger than a window, both ways, in several streams.
func valuesAtOnce(s *session, at string) error {
	return together(8, func(i int) error {
		c, err := s.caller()
		if err != nil {
			return err
		}
		defer c.close()
		value := make([]byte, 600<<10)
		rand.New(rand.NewSource(int64(i))).Read(value)
		key := at + strconv.Itoa(i)
		for range 3 {
			if err := c.set(key, value); err != nil {
				return err
			}
			if err := c.want(key, value); err != nil {
				return err
			}
		}
		return nil
	})
}

// unreadAnswer fills its stream's window, which must not hold the others up.
func unreadAnswer(s *session, at string) error {
	stream, err := s.Open()
	if err != nil {
		return err
	}
	c := s.target.caller(stream)
	defer c.close()
	value := make([]byte, 1<<20)
	rand.New(rand.NewSource(1)).Read(value)
	if err := c.set(at, value); err != nil {
		return err
	}
	// The answer arrives as far as the window goes, and stays there.
	late := make(chan struct{})
	c.codec = s.target.stack.Client(readsLate{stream, late})
	got := make(chan error, 1)
	go func() { got <- c.want(at, value) }()
	for i := 0; i < 100; i++ {
		if err := s.works(); err != nil {
			return fmt.Errorf("call %d beside it: %w", i, err)
		}
	}
	close(late)
	return <-got
}

// cancelledStreams are closed while their queries wait; others go on, and in
// the end nothing is left of them.
func cancelledStreams(s *session, at string) error {
	others, err := poll(s, at, 50)
	if err != nil {
		return err
	}
	var cancelled []*caller
	for i := 0; i < 50; i++ {
		c, err := s.caller()
		if err != nil {
			return err
		}
		if err := c.ask(at, others.index); err != nil {
			return err
		}
		cancelled = append(cancelled, c)
	}
	for _, c := range cancelled {
		if err := c.codec.Close(); err != nil {
			return err
		}
	}
	c, err := s.caller()
	if err != nil {
		return err
	}
	if err := others.wake(c); err != nil {
		return err
	}
	if err := c.ping(); err != nil {
		return err
	}
	c.close()
	return s.emptied()
}

func survivesErrors(s *session, _ string) error {
	for i := 0; i < 20; i++ {
		c, err := s.caller()
		if err != nil {
			return err
		}
		defer c.close()
		var reply struct{}
		if err := isText("KVS.Nope", c.call("KVS.Nope", struct{}{}, &reply), "rpc: can't find method KVS.Nope"); err != nil {
			return err
		}
		if err := s.works(); err != nil {
			return fmt.Errorf("after error %d: %w", i, err)
		}
	}
	return nil
}

// goAwayFromClient forbids the server to open streams, and nothing else.
func goAwayFromClient(s *session, at string) error {
	p, err := poll(s, at, 50)
	if err != nil {
		return err
	}
	if err := s.GoAway(); err != nil {
		return err
	}
	if _, err := s.Ping(); err != nil {
		return fmt.Errorf("a ping after it: %w", err)
	}
	c, err := s.caller()
	if err != nil {
		return err
	}
	defer c.close()
	return p.wake(c)
}

// closedInFlight ends a session with everything in it, which harms no other.
func closedInFlight(s *session, at string) error {
	other, err := s.target.session()
	if err != nil {
		return err
	}
	defer other.Close()
	stays, err := poll(other, at+"stays", 20)
	if err != nil {
		return err
	}
	cut, err := poll(s, at+"cut", 50)
	if err != nil {
		return err
	}
	if err := s.Close(); err != nil {
		return err
	}
	if err := cut.all(); err == nil {
		return errors.New("a query was answered in a session that is closed")
	}
	c, err := other.caller()
	if err != nil {
		return err
	}
	defer c.close()
	return stays.wake(c)
}

// refusesOneBody while queries wait in the same session.
func refusesOneBody(t *target) error {
	s, err := t.session()
	if err != nil {
		return err
	}
	defer s.Close()
	at := t.prefix + "session-refuses-one-body-only/"
	p, err := poll(s, at, 20)
	if err != nil {
		return err
	}
	c, err := s.caller()
	if err != nil {
		return err
	}
	defer c.close()
	if err := tooLarge(c, at+"large", func(*target) (*caller, error) { return s.caller() }); err != nil {
		return err
	}
	waker, err := s.caller()
	if err != nil {
		return err
	}
	defer waker.close()
	return p.wake(waker)
}

// timedChecks need the time-outs of newer versions.
func timedChecks() []check {
	with := func(open, close time.Duration) func(*target) (*session, error) {
		return func(t *target) (*session, error) {
			return t.sessionBy(func(conn io.ReadWriteCloser) (transport.Session, error) {
				return t.stack.Mux.ClientWith(conn, open, close)
			})
		}
	}
	return []check{
		// A server has to acknowledge a stream before it has something to say.
		{"session-call-longer-than-open-time-out", small, func(t *target) error {
			var err error
			// On a busy machine an acknowledgement may be late, but not every time.
			for range 3 {
				if err = longerThanOpenTimeout(t, with(1500*time.Millisecond, time.Minute)); err == nil {
					break
				}
			}
			return err
		}},
		// A stream may be closed behind its last request; older versions do not read on then.
		{"session-half-closed-stream-is-answered", small, func(t *target) error {
			s, err := t.session()
			if err != nil {
				return err
			}
			defer s.Close()
			at := t.prefix + "half-closed"
			return together(20, func(i int) error {
				stream, err := s.Open()
				if err != nil {
					return err
				}
				c := t.caller(stream)
				defer c.close()
				if err := c.set(at, []byte("value")); err != nil {
					return err
				}
				if err := c.ask(at, 0); err != nil {
					return err
				}
				if err := stream.Close(); err != nil {
					return err
				}
				got, err := c.answer()
				if err != nil || len(got.Entries) != 1 || string(got.Entries[0].Value) != "value" {
					return fmt.Errorf("want the value, got %+v, %v", got, err)
				}
				if n, err := stream.Read(make([]byte, 1)); err != io.EOF {
					return fmt.Errorf("want the end behind the answer, got %d bytes, %v", n, err)
				}
				return nil
			})
		}},
		// A stream that the server does not close in time is reset by the client.
		{"session-reset-streams", small, func(t *target) error {
			s, err := with(time.Minute, 100*time.Millisecond)(t)
			if err != nil {
				return err
			}
			defer s.Close()
			at := t.prefix + "reset-streams/"
			others, err := poll(s, at, 20)
			if err != nil {
				return err
			}
			for i := 0; i < 50; i++ {
				c, err := s.caller()
				if err != nil {
					return err
				}
				if err := c.ask(at, others.index); err != nil {
					return err
				}
				if err := c.codec.Close(); err != nil {
					return err
				}
			}
			for until := time.Now().Add(patience / 2); s.NumStreams() > 20; time.Sleep(time.Millisecond) {
				if time.Now().After(until) {
					return fmt.Errorf("%d streams are left beside 20 that wait", s.NumStreams()-20)
				}
			}
			c, err := s.caller()
			if err != nil {
				return err
			}
			defer c.close()
			return others.wake(c)
		}},
	}
}

// longerThanOpenTimeout makes a call of 4 s, the first of its stream.
func longerThanOpenTimeout(t *target, open func(*target) (*session, error)) error {
	s, err := open(t)
	if err != nil {
		return err
	}
	defer s.Close()
	writer, err := s.caller()
	if err != nil {
		return err
	}
	defer writer.close()
	key := t.prefix + "open-time-out"
	if err := writer.set(key, []byte("value")); err != nil {
		return err
	}
	old, err := writer.entry(key)
	if err != nil {
		return err
	}
	c, err := s.caller()
	if err != nil {
		return err
	}
	defer c.close()
	if err := c.waits(key, old.ModifyIndex, 4*time.Second); err != nil {
		return err
	}
	return s.works()
}

// drainChecks end the server.
func drainChecks() []check {
	return []check{{"drain-completes-calls", oneport, func(t *target) error {
		s, err := t.session()
		if err != nil {
			return err
		}
		defer s.Close()
		at := t.prefix + "drain/"
		c, err := s.caller()
		if err != nil {
			return err
		}
		if err := c.set(at, []byte("value")); err != nil {
			return err
		}
		old, err := c.entry(at)
		if err != nil {
			return err
		}
		const queries = 300
		var waiting []*caller
		for i := 0; i < queries; i++ {
			c, err := s.caller()
			if err != nil {
				return err
			}
			defer c.close()
			if err := c.ask(at, old.ModifyIndex); err != nil {
				return err
			}
			waiting = append(waiting, c)
		}
		// What was sent before the ping has arrived when it comes back.
		if _, err := s.Ping(); err != nil {
			return err
		}
		if err := syscall.Kill(t.pid, syscall.SIGTERM); err != nil {
			return err
		}
		for i, c := range waiting {
			got, err := c.answer()
			if err != nil || len(got.Entries) != 1 || got.Entries[0].ModifyIndex != old.ModifyIndex {
				return fmt.Errorf("answer %d of %d: want what there is, got %+v, %v", i, queries, got, err)
			}
		}
		// The server goes when the last stream is closed, and says so before.
		for _, c := range waiting {
			c.close()
		}
		c.close()
		<-s.CloseChan()
		if err := s.works(); err == nil {
			return errors.New("a stream was opened after the server had gone")
		}
		return nil
	}}}
}
