//! The metrics of yamux: the page of the module has their table.

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
    counter!("oneport.yamux.sessions", "role" => name(role)).increment(1);
}

pub(crate) fn stream_opened(role: Role) {
    counter!("oneport.yamux.streams", "role" => name(role)).increment(1);
}

pub(crate) fn reset(role: Role, by: By) {
    let by = match by {
        By::Us => "us",
        By::Peer => "peer",
    };
    counter!("oneport.yamux.resets", "role" => name(role), "by" => by).increment(1);
}

pub(crate) fn panicked() {
    counter!("oneport.yamux.panics").increment(1);
}

pub(crate) fn fault(role: Role, fault: Fault) {
    counter!("oneport.yamux.faults", "role" => name(role), "kind" => fault.label()).increment(1);
}
