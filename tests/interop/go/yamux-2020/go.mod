module oneport.test/interop/yamux-2020

go 1.24

require (
	github.com/hashicorp/net-rpc-msgpackrpc v0.0.0-20151116020338-a14192a58a69
	github.com/hashicorp/yamux v0.0.0-20200609203250-aecfd211c9ce
	oneport.test/interop/common v0.0.0
)

require (
	github.com/hashicorp/errwrap v1.0.0 // indirect
	github.com/hashicorp/go-msgpack v0.5.5 // indirect
	github.com/hashicorp/go-multierror v1.1.1 // indirect
)

replace oneport.test/interop/common => ../common
