// Package stack is yamux v0.1.2, with the newest codec in its streams.
package stack

import (
	"io"
	"net/rpc"
	"time"

	msgpackrpc "github.com/hashicorp/net-rpc-msgpackrpc/v2"
	"github.com/hashicorp/yamux"

	"oneport.test/interop/common/transport"
)

// Stack carries net/rpc in yamux.
var Stack = transport.Stack{
	Name:   "yamux-v0.1.2",
	Server: func(conn io.ReadWriteCloser) rpc.ServerCodec { return msgpackrpc.NewServerCodec(conn) },
	Client: func(conn io.ReadWriteCloser) rpc.ClientCodec { return msgpackrpc.NewClientCodec(conn) },
	Call:   msgpackrpc.CallWithCodec,
	Mux: &transport.Mux{
		Server: func(conn io.ReadWriteCloser) (transport.Session, error) { return yamux.Server(conn, nil) },
		Client: func(conn io.ReadWriteCloser) (transport.Session, error) { return yamux.Client(conn, nil) },
		ClientOpenTimeout: func(conn io.ReadWriteCloser, limit time.Duration) (transport.Session, error) {
			config := yamux.DefaultConfig()
			config.StreamOpenTimeout = limit
			return yamux.Client(conn, config)
		},
	},
}
