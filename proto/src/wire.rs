//! What a Consul server port tells apart: first bytes and ALPN names.
//!
//! Source: the Consul wire format. The values are frozen: 1.13 knows the bytes 0 to 8, byte 9
//! (raft forwarding) came with 1.16. They are never renumbered.

/// First bytes of a connection to a Consul server port.
pub mod byte {
    /// One net/rpc session directly on the connection.
    pub const RPC_SINGLE: u8 = 0;
    /// The Raft transport takes the whole connection.
    pub const RAFT: u8 = 1;
    /// The multiplexer before yamux (muxado). Reserved and refused by every living version.
    pub const MUXADO: u8 = 2;
    /// A TLS handshake follows; inside it comes one more first byte.
    pub const TLS: u8 = 3;
    /// A yamux session whose streams are net/rpc sessions: the normal client transport.
    pub const RPC_MULTI: u8 = 4;
    /// One snapshot save or restore.
    pub const SNAPSHOT: u8 = 5;
    /// Gossip over the RPC port (Consul Enterprise only; others close).
    pub const GOSSIP: u8 = 6;
    /// A TLS handshake without client certificate, then net/rpc with a reduced registry.
    pub const TLS_INSECURE: u8 = 7;
    /// HTTP/2 with prior knowledge: the internal gRPC services.
    pub const GRPC: u8 = 8;
    /// The content type of a TLS handshake record (RFC 8446, section 5.1): native TLS.
    pub const TLS_RECORD: u8 = 0x16;
}

/// ALPN protocol names, in the order in which a Consul 1.13 server prefers them.
pub mod alpn {
    /// As [`byte::RPC_SINGLE`](super::byte::RPC_SINGLE).
    pub const RPC_SINGLE: &[u8] = b"consul/rpc-single";
    /// As [`byte::RAFT`](super::byte::RAFT).
    pub const RAFT: &[u8] = b"consul/raft";
    /// As [`byte::RPC_MULTI`](super::byte::RPC_MULTI).
    pub const RPC_MULTI: &[u8] = b"consul/rpc-multi";
    /// As [`byte::SNAPSHOT`](super::byte::SNAPSHOT).
    pub const SNAPSHOT: &[u8] = b"consul/rpc-snapshot";
    /// As [`byte::GOSSIP`](super::byte::GOSSIP).
    pub const GOSSIP: &[u8] = b"consul/rpc-gossip";
    /// As [`byte::GRPC`](super::byte::GRPC).
    pub const GRPC: &[u8] = b"consul/rpc-grpc";
    /// WAN gossip datagrams over TCP.
    pub const WAN_GOSSIP_PACKET: &[u8] = b"consul/wan-gossip/packet";
    /// A WAN gossip stream.
    pub const WAN_GOSSIP_STREAM: &[u8] = b"consul/wan-gossip/stream";
}
