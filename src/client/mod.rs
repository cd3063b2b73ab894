//! The client side: from an address to a connection that already speaks the right protocol.

mod dial;
#[cfg(feature = "yamux")]
mod mux;

pub use dial::{DIAL_WITHIN, Dial, DialError, Endpoint};
#[cfg(feature = "yamux")]
pub use mux::Mux;
