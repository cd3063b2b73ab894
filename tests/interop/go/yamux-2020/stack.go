// Package stack is yamux as of June 2020, before its streams had time-outs for
// opening and closing, with the codec of that time in its streams.
package stack

import (
	"io"
	"net/rpc"

	msgpackrpc "github.com/hashicorp/net-rpc-msgpackrpc"
	"github.com/hashicorp/yamux"

	"oneport.test/interop/common/transport"
)

// Stack carries net/rpc in yamux.
var Stack = transport.Stack{
	Name:   "yamux-2020",
	Server: func(conn io.ReadWriteCloser) rpc.ServerCodec { return msgpackrpc.NewServerCodec(conn) },
	Client: func(conn io.ReadWriteCloser) rpc.ClientCodec { return msgpackrpc.NewClientCodec(conn) },
	Call:   msgpackrpc.CallWithCodec,
	Mux: &transport.Mux{
		Server: func(conn io.ReadWriteCloser) (transport.Session, error) { return yamux.Server(conn, nil) },
		Client: func(conn io.ReadWriteCloser) (transport.Session, error) { return yamux.Client(conn, nil) },
	},
}
