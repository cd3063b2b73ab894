// Package stack is the codec that Consul's clients have had since 2015, on
// go-msgpack 0.5.5.
package stack

import (
	"io"
	"net/rpc"

	msgpackrpc "github.com/hashicorp/net-rpc-msgpackrpc"

	"oneport.test/interop/common/transport"
)

// Stack has no multiplexer.
var Stack = transport.Stack{
	Name:   "msgpackrpc-v1",
	Server: func(conn io.ReadWriteCloser) rpc.ServerCodec { return msgpackrpc.NewServerCodec(conn) },
	Client: func(conn io.ReadWriteCloser) rpc.ClientCodec { return msgpackrpc.NewClientCodec(conn) },
	Call:   msgpackrpc.CallWithCodec,
}
