//! Public gRPC APIs of oneport.
//!
//! This room is for what anyone may call from outside: protobuf services with a compatibility
//! promise, checked in as generated code beside the `.proto` files that they come from. Whoever
//! writes a client needs this crate and nothing else of oneport, so it depends on no other room.
//! What only servers say to each other belongs to `oneport-proto`, which promises nothing.
//!
//! No API is published yet: the port's first public protocol is Consul's net/rpc, whose structs
//! stand in `oneport-proto`.
