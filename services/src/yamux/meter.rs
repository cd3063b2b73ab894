//! The metrics of yamux. No label comes from the wire.
//!
//! | counter | labels | counts |
//! |---|---|---|
//! | `oneport_yamux_sessions_total` | `role` | sessions begun |
//! | `oneport_yamux_streams_opened_total` | `role` | streams accepted (server) or opened (client) |
//! | `oneport_yamux_resets_total` | `role`, `by` (`us`, `peer`) | streams reset |
//! | `oneport_yamux_panics_total` | | streams whose protocol panicked |
//! | `oneport_yamux_faults_total` | `role`, `kind` | sessions ended because the peer broke the protocol |

use metrics::counter;

use super::{fault::Fault, session::Role};

/// Who reset a stream.
#[derive(Clone, Copy, Debug)]
pub(crate) enum By {
    Us,
    Peer,
}

fn name(role: Role) -> &'static str {
    match role {
        Role::Client => "client",
        Role::Server => "server",
    }
}

pub(crate) fn session_begun(role: Role) {
    counter!("oneport_yamux_sessions_total", "role" => name(role)).increment(1);
}

pub(crate) fn stream_opened(role: Role) {
    counter!("oneport_yamux_streams_opened_total", "role" => name(role)).increment(1);
}

pub(crate) fn reset(role: Role, by: By) {
    let by = match by {
        By::Us => "us",
        By::Peer => "peer",
    };
    counter!("oneport_yamux_resets_total", "role" => name(role), "by" => by).increment(1);
}

pub(crate) fn panicked() {
    counter!("oneport_yamux_panics_total").increment(1);
}

pub(crate) fn fault(role: Role, fault: Fault) {
    counter!("oneport_yamux_faults_total", "role" => name(role), "kind" => fault.label())
        .increment(1);
}
