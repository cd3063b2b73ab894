//! The msgpack structs of Consul's net/rpc, 1.13.9's keys.
