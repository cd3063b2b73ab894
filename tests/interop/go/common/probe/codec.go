package probe

import (
	"errors"
	"io"
	"net/rpc"

	"oneport.test/interop/common/wire"
)

// tellWritten tells when a request is written.
type tellWritten struct {
	rpc.ClientCodec
	written func()
}

func (c tellWritten) WriteRequest(request *rpc.Request, body interface{}) error {
	err := c.ClientCodec.WriteRequest(request, body)
	if err == nil {
		c.written()
	}
	return err
}

// readsLate reads nothing before it may.
type readsLate struct {
	io.ReadWriteCloser
	may <-chan struct{}
}

func (r readsLate) Read(p []byte) (int, error) {
	<-r.may
	return r.ReadWriteCloser.Read(p)
}

// ask sends a query, one that blocks if there is an index, and does not wait
// for the answer.
func (c *caller) ask(key string, index uint64) error {
	return c.codec.WriteRequest(
		&rpc.Request{ServiceMethod: "KVS.Get", Seq: 1},
		&wire.KeyRequest{Key: key, QueryOptions: wire.QueryOptions{MinQueryIndex: index, MaxQueryTime: 2 * patience}},
	)
}

// answer reads what comes after ask.
func (c *caller) answer() (*wire.IndexedDirEntries, error) {
	var header rpc.Response
	if err := c.codec.ReadResponseHeader(&header); err != nil {
		return nil, err
	}
	if header.Error != "" {
		return nil, errors.Join(rpc.ServerError(header.Error), c.codec.ReadResponseBody(nil))
	}
	var reply wire.IndexedDirEntries
	return &reply, c.codec.ReadResponseBody(&reply)
}
