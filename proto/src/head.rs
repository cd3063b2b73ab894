//! What is known about one call before its body is decoded.

use std::{
    fmt,
    sync::{Arc, OnceLock},
    time::Duration,
};

use tokio::time::Instant;

use crate::{Method, Session};

/// What is known about one call before its body is decoded.
#[derive(Clone, Debug)]
pub struct Head {
    /// What is called.
    pub method: Method,
    /// The connection that it came on.
    pub session: Arc<Session>,
    /// The caller's secret, if it sent one.
    pub token: Option<Token>,
    /// When the call was read. A batch of calls read together shares one clock reading.
    pub at: Instant,
    /// By when the caller wants the answer, if it said so.
    pub deadline: Option<Instant>,
    /// How long a blocking query may wait, on top of whatever time-out holds for the call.
    pub wait: Option<Duration>,
    /// W3C trace context, where the protocol has room for it.
    pub trace: Option<TraceContext>,
    /// Who the caller is: written once by whoever authenticates it.
    pub identity: IdentitySlot,
}

impl Head {
    /// The head of a call that was read just now, with nothing asked for.
    pub fn new(method: Method, session: Arc<Session>, at: Instant) -> Head {
        Head {
            method,
            session,
            token: None,
            at,
            deadline: None,
            wait: None,
            trace: None,
            identity: IdentitySlot::default(),
        }
    }
}

/// A secret that a caller presents. It never appears in `Debug` output.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(Arc<[u8]>);

impl Token {
    /// A token from the bytes on the wire; `None` if there are none (the anonymous caller).
    pub fn new(secret: &[u8]) -> Option<Token> {
        (!secret.is_empty()).then(|| Token(secret.into()))
    }

    /// The secret itself.
    pub fn secret(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// W3C trace context (`traceparent`, version 00).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceContext {
    /// The trace that the call is part of; never all zero.
    pub trace_id: [u8; 16],
    /// The caller's span; never all zero.
    pub parent_id: [u8; 8],
    /// Trace flags; bit 0 is "sampled".
    pub flags: u8,
}

/// Who a caller is, once somebody found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// A name fit for logs and for keys of per-identity limits; never a secret.
    pub name: Arc<str>,
}

/// A place for one [`Identity`]. Clones of a slot see what is written into any of them, so that
/// metrics and trace, further out than auth, can read afterwards what auth found.
#[derive(Debug, Default)]
pub struct IdentitySlot {
    // Made on the first write or clone: a call that nobody looks at costs no allocation.
    shared: OnceLock<Arc<OnceLock<Identity>>>,
}

impl IdentitySlot {
    /// The identity, if it was written.
    pub fn get(&self) -> Option<&Identity> {
        self.shared.get()?.get()
    }

    /// Writes the identity.
    ///
    /// # Errors
    /// Gives the identity back when one was written before: the first one holds.
    pub fn set(&self, identity: Identity) -> Result<(), Identity> {
        self.shared.get_or_init(Arc::default).set(identity)
    }
}

impl Clone for IdentitySlot {
    fn clone(&self) -> Self {
        let shared = self.shared.get_or_init(Arc::default);
        IdentitySlot {
            shared: OnceLock::from(Arc::clone(shared)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_outer_clone_sees_what_was_written_inside() {
        let inner = IdentitySlot::default();
        let outer = inner.clone();
        let who = Identity { name: "ann".into() };
        assert_eq!(outer.get(), None);
        inner.set(who.clone()).unwrap();
        assert_eq!(outer.get(), Some(&who));
        assert_eq!(
            outer
                .set(Identity { name: "bob".into() })
                .unwrap_err()
                .name
                .as_ref(),
            "bob"
        );
        assert_eq!(inner.get(), Some(&who));
    }

    #[test]
    fn a_token_keeps_its_secret() {
        let token = Token::new(b"hunter2").unwrap();
        assert_eq!(format!("{token:?}"), "Token(…)");
        assert_eq!(token.secret(), b"hunter2");
        assert!(Token::new(b"").is_none());
    }
}
