//! What is known about one call before its body is decoded.

use std::{
    fmt,
    hash::{Hash, Hasher},
    sync::Arc,
    time::Duration,
};

use subtle::ConstantTimeEq;
use tokio::time::Instant;

use crate::{Access, Denial, IdentitySlot, Method, Refusal, Resource, Session};

/// What is known about one call before its body is decoded.
///
/// It is at most two cache lines large, since it moves from layer to layer with its call.
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
    /// The longest that a blocking query may wait, on top of whatever time-out holds for the call.
    /// `None` for a call that does not wait.
    pub wait: Option<Duration>,
    /// W3C trace context, where the protocol has room for it. In a box, for few calls have one and
    /// every layer moves a head on.
    pub trace: Option<Box<TraceContext>>,
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

    /// Whether the caller may do this: what an endpoint asks, once it knows what a call is about.
    ///
    /// # Errors
    /// [`Refusal::Denied`] if it was not granted, and if nobody said who the caller is.
    pub fn may(&self, access: Access, resource: Resource, name: &[u8]) -> Result<(), Refusal> {
        match self.identity.get() {
            Some(identity) => identity.may(access, resource, name),
            None => Err(Refusal::Denied(Denial::Plain)),
        }
    }
}

/// A secret that a caller presents. It never appears in `Debug` output.
///
/// Comparing two tokens takes a time that depends on their lengths alone: a comparison that stops
/// at the first difference would tell a caller, over many tries, how much of its guess is right.
/// Lengths are no secret. As a key of a hash map with random keys, the default, a token gives
/// nothing away either: which guess comes near a real token's hash cannot be known from outside.
#[derive(Clone, Eq)]
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

impl PartialEq for Token {
    fn eq(&self, other: &Token) -> bool {
        self.0.ct_eq(&other.0).into()
    }
}

impl Hash for Token {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.hash(state);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_head_is_two_cache_lines_at_most() {
        println!("a head is {} bytes", size_of::<Head>());
        assert!(size_of::<Head>() <= 128);
    }

    #[test]
    fn a_token_keeps_its_secret() {
        let token = Token::new(b"hunter2").unwrap();
        assert_eq!(format!("{token:?}"), "Token(…)");
        assert_eq!(token.secret(), b"hunter2");
        assert!(Token::new(b"").is_none());
        assert_eq!(token, Token::new(b"hunter2").unwrap());
        assert_ne!(token, Token::new(b"hunter3").unwrap());
        assert_ne!(token, Token::new(b"hunter").unwrap());
    }
}
