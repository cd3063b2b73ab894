//! Users of this host.

use std::{collections::HashMap, sync::Arc};

use oneport_proto::{Denial, Grants, Head, Identity, Peer, Refusal};

use super::authorize::{Authorize, Decision, Never, Verdict};

/// Decides by the user and group behind a unix socket, as the kernel vouches for them. A rule about
/// the user holds over one about its group. Callers that came another way are refused, and so is
/// everybody whom no rule is about, root too.
#[derive(Clone, Debug, Default)]
pub struct UnixPeers {
    users: HashMap<u32, Identity>,
    groups: HashMap<u32, Identity>,
}

impl UnixPeers {
    /// Lets in the user `uid`, who is granted `grants`.
    #[must_use]
    pub fn user(mut self, uid: u32, grants: Arc<dyn Grants>) -> UnixPeers {
        let identity = Identity::with_grants(format!("uid={uid}"), grants);
        self.users.insert(uid, identity);
        self
    }

    /// Lets in users whose effective group is `gid`. They are one identity.
    #[must_use]
    pub fn group(mut self, gid: u32, grants: Arc<dyn Grants>) -> UnixPeers {
        let identity = Identity::with_grants(format!("gid={gid}"), grants);
        self.groups.insert(gid, identity);
        self
    }

    fn verdict(&self, peer: &Peer) -> Verdict {
        let Peer::Unix(unix) = peer else {
            return Err(Refusal::Denied(Denial::Plain));
        };
        let user = self.users.get(&unix.uid);
        match user.or_else(|| self.groups.get(&unix.gid)) {
            Some(identity) => Ok(Some(identity.clone())),
            None => Err(Refusal::Denied(Denial::Plain)),
        }
    }
}

impl Authorize for UnixPeers {
    type Future = Never;

    fn authorize(&self, head: &Head) -> Decision<Never> {
        Decision::Now(self.verdict(&head.session.peer))
    }
}

#[cfg(test)]
mod tests {
    use oneport_proto::{Everything, UnixPeer};

    use super::*;

    #[test]
    fn users_come_before_groups_and_strangers_not_at_all() {
        let all: Arc<dyn Grants> = Arc::new(Everything);
        let peers = UnixPeers::default()
            .user(1000, Arc::clone(&all))
            .group(100, all);
        let who = |uid, gid| {
            let unix = UnixPeer {
                pid: None,
                uid,
                gid,
            };
            let verdict = peers.verdict(&Peer::Unix(unix)).ok()?;
            verdict.map(|identity| identity.name().to_owned())
        };
        assert_eq!(who(1000, 100).as_deref(), Some("uid=1000"));
        assert_eq!(who(1001, 100).as_deref(), Some("gid=100"));
        assert_eq!(who(0, 0), None);
        assert!(peers.verdict(&Peer::Local).is_err());
        let tcp = Peer::Tcp(([127, 0, 0, 1], 1).into());
        assert!(peers.verdict(&tcp).is_err());
    }
}
