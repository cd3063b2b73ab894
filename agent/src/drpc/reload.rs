//! Module 18: reading the settings files again.

use oneport::proto::{Head, Peer, Status};

use super::messages::{ReloadRequest, ReloadResponse};
use crate::admin::{Asks, Reloaded};

/// Who may is who may open the admin socket, whose mode is 0600: the mode of this socket says only
/// who may call at all.
pub(super) async fn reload(
    asks: Asks,
    head: Head,
    _: ReloadRequest,
) -> Result<ReloadResponse, Status> {
    let own = rustix::process::geteuid().as_raw();
    if !may_reload(&head.session.peer, own) {
        return Err(Status::permission_denied(
            "only the agent's own user and root may reload its settings",
        ));
    }
    Ok(match asks.ask().await {
        Reloaded::Done { changed, restart } => ReloadResponse {
            changed,
            restart,
            errors: Vec::new(),
        },
        Reloaded::Refused { errors } => ReloadResponse {
            errors,
            ..ReloadResponse::default()
        },
    })
}

fn may_reload(peer: &Peer, own: u32) -> bool {
    match peer {
        Peer::Unix(unix) => unix.uid == 0 || unix.uid == own,
        Peer::Tcp(_) | Peer::Local => false,
    }
}

#[cfg(test)]
mod tests {
    use oneport::proto::UnixPeer;

    use super::*;

    #[test]
    fn the_agents_user_and_root_may_reload() {
        let user = |uid| {
            let unix = UnixPeer {
                pid: None,
                uid,
                gid: 1000,
            };
            may_reload(&Peer::Unix(unix), 1000)
        };
        assert!(user(0) && user(1000));
        assert!(!user(1001));
        assert!(!may_reload(&Peer::Local, 1000));
    }
}
