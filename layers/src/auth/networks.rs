//! Allowed and denied networks.

use std::{net::IpAddr, str::FromStr};

use ipnet::IpNet;
use oneport_proto::{Denial, Head, Peer, Refusal};

use super::authorize::{Authorize, Decision, Never, Verdict};

/// Decides by the address that a call comes from; who calls it does not know, so it writes no
/// identity and stands well in front of what finds that out.
///
/// An address in a denied network is refused, also if it is in an allowed one. If there are allowed
/// networks, all other addresses are refused. Callers without an address, by a unix socket or inside
/// this process, are refused unless [`local`](Networks::local) lets them in.
#[derive(Clone, Debug, Default)]
pub struct Networks {
    allowed: Vec<IpNet>,
    denied: Vec<IpNet>,
    local: bool,
}

/// A text that is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is no network: write an address, as 10.1.2.3, or a prefix, as 10.0.0.0/8 or fd00::/8"
)]
pub struct NetworkError(pub String);

impl Networks {
    /// Allows a network: an address with the length of a prefix (CIDR), or an address alone.
    ///
    /// # Errors
    /// [`NetworkError`] if the text is none.
    pub fn allow(mut self, network: &str) -> Result<Networks, NetworkError> {
        self.allowed.push(parse(network)?);
        Ok(self)
    }

    /// Denies a network.
    ///
    /// # Errors
    /// [`NetworkError`] if the text is none.
    pub fn deny(mut self, network: &str) -> Result<Networks, NetworkError> {
        self.denied.push(parse(network)?);
        Ok(self)
    }

    /// Lets in callers by a unix socket and from inside this process, which have no address.
    #[must_use]
    pub fn local(mut self) -> Networks {
        self.local = true;
        self
    }

    fn verdict(&self, peer: &Peer) -> Verdict {
        let lets_in = match peer {
            Peer::Tcp(addr) => self.lets_in(addr.ip().to_canonical()),
            Peer::Unix(_) | Peer::Local => self.local,
        };
        if lets_in {
            Ok(None)
        } else {
            Err(Refusal::Denied(Denial::Plain))
        }
    }

    fn lets_in(&self, ip: IpAddr) -> bool {
        let in_one = |networks: &[IpNet]| networks.iter().any(|network| network.contains(&ip));
        !in_one(&self.denied) && (self.allowed.is_empty() || in_one(&self.allowed))
    }
}

impl Authorize for Networks {
    type Future = Never;

    fn authorize(&self, head: &Head) -> Decision<Never> {
        Decision::Now(self.verdict(&head.session.peer))
    }
}

/// A network; one of IPv4-mapped addresses is the IPv4 network that it stands for, since that is
/// how addresses are looked at.
fn parse(text: &str) -> Result<IpNet, NetworkError> {
    let address = || Some(IpNet::from(IpAddr::from_str(text).ok()?));
    let network = IpNet::from_str(text).ok().or_else(address);
    let network = network.and_then(|network| match (network, network.addr().to_canonical()) {
        (IpNet::V6(mapped), IpAddr::V4(ip)) => {
            let len = mapped.prefix_len().checked_sub(96)?;
            IpNet::new(IpAddr::V4(ip), len).ok()
        }
        (network, _) => Some(network),
    });
    network.ok_or_else(|| NetworkError(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn passes(networks: &Networks, addr: &str) -> bool {
        networks.verdict(&Peer::Tcp(addr.parse().unwrap())).is_ok()
    }

    #[test]
    fn a_denied_network_is_denied_inside_an_allowed_one() {
        let networks = Networks::default()
            .allow("10.0.0.0/8")
            .and_then(|networks| networks.allow("fd00::/8"))
            .and_then(|networks| networks.deny("10.6.6.0/24"))
            .unwrap();
        assert!(passes(&networks, "10.1.2.3:1"));
        assert!(passes(&networks, "[::ffff:10.1.2.3]:1"));
        assert!(passes(&networks, "[fd00::1]:1"));
        assert!(!passes(&networks, "10.6.6.6:1"));
        assert!(!passes(&networks, "[::ffff:10.6.6.6]:1"));
        assert!(!passes(&networks, "11.0.0.1:1"));
        assert!(!passes(&networks, "[fe80::1]:1"));
    }

    #[test]
    fn without_allowed_networks_all_but_the_denied_pass() {
        let networks = Networks::default().deny("192.0.2.7").unwrap();
        assert!(passes(&networks, "192.0.2.8:1"));
        assert!(!passes(&networks, "192.0.2.7:1"));
    }

    #[test]
    fn who_has_no_address_is_refused_unless_let_in() {
        let networks = Networks::default();
        assert!(networks.verdict(&Peer::Local).is_err());
        assert!(networks.local().verdict(&Peer::Local).is_ok());
    }

    #[test]
    fn a_text_that_is_no_network_is_named() {
        for bad in ["", "10.0.0.0/33", "example.com", "::ffff:10.0.0.0/95"] {
            let error = Networks::default().allow(bad).unwrap_err();
            assert_eq!(error, NetworkError(bad.to_owned()));
        }
        assert!(passes(
            &Networks::default().allow("::ffff:10.0.0.0/104").unwrap(),
            "10.9.9.9:1"
        ));
    }
}
