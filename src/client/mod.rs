//! The client side: from an address to a connection that already speaks the right protocol.

mod dial;

pub use dial::{DIAL_WITHIN, Dial, DialError, Endpoint};
