// Server is a small server of Consul's protocol on the libraries of this module.
package main

import (
	"oneport.test/interop/common/server"
	stack "oneport.test/interop/msgpackrpc-v2"
)

func main() { server.Main(stack.Stack) }
