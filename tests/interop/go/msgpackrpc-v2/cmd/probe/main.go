// Probe calls a server with the libraries of this module, and says for every
// check whether the server behaves as Consul does.
package main

import (
	"oneport.test/interop/common/probe"
	stack "oneport.test/interop/msgpackrpc-v2"
)

func main() { probe.Main(stack.Stack) }
