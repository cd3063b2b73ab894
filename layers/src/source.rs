//! Who a limit by address holds for.

use std::net::{IpAddr, Ipv4Addr};

use oneport_proto::Peer;

/// Where calls and connections come from, as far as limits care. An IPv6 host commonly has a /64
/// of its own, so all of it is one source; Consul counts full addresses, which such a host has too
/// many of. An IPv4-mapped address is the IPv4 source that it stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// An address.
    V4(Ipv4Addr),
    /// A network: the upper 64 bits.
    V6(u64),
}

impl Source {
    /// The source of what comes from `peer`; `None` for peers on this host, which the file
    /// system or the process itself lets in.
    pub fn of(peer: &Peer) -> Option<Source> {
        match peer {
            Peer::Tcp(addr) => Some(Source::of_ip(addr.ip())),
            Peer::Unix(_) | Peer::Local => None,
        }
    }

    fn of_ip(ip: IpAddr) -> Source {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Source::V4(ip),
            IpAddr::V6(ip) => {
                let [a, b, c, d, ..] = ip.segments().map(u64::from);
                Source::V6(a << 48 | b << 32 | c << 16 | d)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn source(addr: &str) -> Option<Source> {
        Source::of(&Peer::Tcp(addr.parse().unwrap()))
    }

    #[test]
    fn a_source_is_an_ipv4_address_or_a_64() {
        assert_eq!(source("10.0.0.1:1"), source("10.0.0.1:2"));
        assert_ne!(source("10.0.0.1:1"), source("10.0.0.2:1"));
        assert_eq!(
            source("[2001:db8:0:1::1]:1"),
            source("[2001:db8:0:1:f::]:1")
        );
        assert_ne!(source("[2001:db8:0:1::1]:1"), source("[2001:db8:0:2::1]:1"));
        assert_eq!(source("[::ffff:10.0.0.1]:1"), source("10.0.0.1:1"));
        assert_eq!(Source::of(&Peer::Local), None);
    }
}
