package probe

import (
	"fmt"
	"sync"
)

// plainChecks are about connections without a session.
func plainChecks() []check {
	return []check{
		{"plain-fifty-connections", small, func(t *target) error {
			return together(50, func(i int) error {
				c, err := t.plain()
				if err != nil {
					return err
				}
				defer c.close()
				return c.rounds(fmt.Sprintf("%splain-fifty/%d", t.prefix, i), 10)
			})
		}},
	}
}

// binChecks use the msgpack types that old clients do not know.
func binChecks() []check {
	return []check{
		{"plain-new-msgpack-types", small, func(t *target) error {
			c, err := t.plain()
			if err != nil {
				return err
			}
			defer c.close()
			conn, err := t.dial(0)
			if err != nil {
				return err
			}
			bin := &caller{t, t.stack.ClientBin(conn)}
			defer bin.close()
			// 8, 16 and 32 bits of length, and a key that is a str 8.
			for _, size := range []int{0, 1, 255, 256, 65535, 65536} {
				key := fmt.Sprintf("%splain-new-msgpack-types/of-%d-bytes", t.prefix, size)
				value := make([]byte, size)
				for i := range value {
					value[i] = byte(i)
				}
				if err := bin.set(key, value); err != nil {
					return fmt.Errorf("set %d bytes: %w", size, err)
				}
				if err := bin.want(key, value); err != nil {
					return err
				}
				// Others read the same.
				if err := c.want(key, value); err != nil {
					return err
				}
			}
			return nil
		}},
	}
}

// rounds sets a key to a new value and reads it, again and again.
func (c *caller) rounds(key string, rounds int) error {
	for round := 0; round < rounds; round++ {
		value := []byte(fmt.Sprintf("%s in round %d", key, round))
		if err := c.set(key, value); err != nil {
			return err
		}
		if err := c.want(key, value); err != nil {
			return err
		}
	}
	return nil
}

// together runs something so many times at once and gives the first error.
func together(times int, run func(i int) error) error {
	var all sync.WaitGroup
	errs := make(chan error, times)
	for i := 0; i < times; i++ {
		all.Add(1)
		go func() {
			defer all.Done()
			if err := run(i); err != nil {
				errs <- fmt.Errorf("number %d of %d: %w", i, times, err)
			}
		}()
	}
	all.Wait()
	select {
	case err := <-errs:
		return err
	default:
		return nil
	}
}
