// Package stack is the newest codec, on go-msgpack v2.
package stack

import (
	"io"
	"net/rpc"

	"github.com/hashicorp/go-msgpack/v2/codec"
	msgpackrpc "github.com/hashicorp/net-rpc-msgpackrpc/v2"

	"oneport.test/interop/common/transport"
)

// bin writes the types that msgpack has had since 2013.
var bin = &codec.MsgpackHandle{WriteExt: true}

// Stack has no multiplexer.
var Stack = transport.Stack{
	Name:   "msgpackrpc-v2",
	Server: func(conn io.ReadWriteCloser) rpc.ServerCodec { return msgpackrpc.NewServerCodec(conn) },
	Client: func(conn io.ReadWriteCloser) rpc.ClientCodec { return msgpackrpc.NewClientCodec(conn) },
	Call:   msgpackrpc.CallWithCodec,
	ClientBin: func(conn io.ReadWriteCloser) rpc.ClientCodec {
		return msgpackrpc.NewCodecFromHandle(true, true, conn, bin)
	},
}
