//! What may differ between a recording and a run of today, and what may not.
//!
//! Most replies must be equal byte for byte. Where a reply holds an index or
//! the server's own address, it is compared decoded; and because decoding
//! forgives, the live bytes must then also be exactly what Consul's encoder
//! would have written for their value.

use std::fmt;

use super::msgpack::{self, Value};
use super::record::{Call, Version};

/// The address of the server that was recorded.
pub(crate) const RECORDED_SERVER: &str = "127.0.0.1:28300";

/// How a reply was compared.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum How {
    Bytes,
    Decoded,
}

/// One place in which a run departs from its recording.
#[derive(Debug)]
pub(crate) struct Difference {
    pub(crate) call: String,
    pub(crate) at: String,
    pub(crate) recorded: String,
    pub(crate) live: String,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} at {}\n    recorded {}\n    live     {}",
            self.call, self.at, self.recorded, self.live
        )
    }
}

/// An index seen in both: which numbers they are means nothing, which of them
/// are equal and which grow means everything.
struct Seen {
    call: String,
    path: String,
    recorded: u64,
    live: u64,
}

/// Compares one run of one set, on one server.
pub(crate) struct Comparison {
    version: Version,
    /// Where the server under test says it listens.
    server: String,
    seen: Vec<Seen>,
    differences: Vec<Difference>,
}

impl Comparison {
    pub(crate) fn new(version: Version, server: String) -> Comparison {
        Comparison {
            version,
            server,
            seen: Vec::new(),
            differences: Vec::new(),
        }
    }

    pub(crate) fn differs(
        &mut self,
        call: &str,
        at: &str,
        recorded: impl fmt::Debug,
        live: impl fmt::Debug,
    ) {
        self.differences.push(Difference {
            call: call.to_owned(),
            at: at.to_owned(),
            recorded: format!("{recorded:?}"),
            live: format!("{live:?}"),
        });
    }

    /// Compares header and body of one reply. `label` names the call and how it
    /// was made.
    pub(crate) fn reply(&mut self, label: &str, call: &Call, recorded: &[u8], live: &[u8]) -> How {
        let (header, body, _) =
            msgpack::decode_pair(recorded).expect("recordings were decoded when they were read");
        let failed = !header.at("Error").is_some_and(|text| text.is_text(""));
        if failed || !varies(&call.method) {
            if recorded != live {
                let first = recorded
                    .iter()
                    .zip(live)
                    .take_while(|(a, b)| a == b)
                    .count();
                self.differs(
                    label,
                    &format!("byte {first}"),
                    Shown(recorded),
                    Shown(live),
                );
            }
            return How::Bytes;
        }
        match msgpack::decode_pair(live) {
            Ok((live_header, live_body, [])) => {
                let written = [live_header.encode(), live_body.encode()].concat();
                if written != live {
                    let first = written.iter().zip(live).take_while(|(a, b)| a == b).count();
                    self.differs(
                        label,
                        &format!("the encoding of byte {first}"),
                        Shown(&written),
                        Shown(live),
                    );
                }
                self.value(label, "header", &header, &live_header);
                self.value(label, "body", &body, &live_body);
            }
            _ => self.differs(label, "the reply", Shown(recorded), Shown(live)),
        }
        How::Decoded
    }

    fn value(&mut self, label: &str, path: &str, recorded: &Value, live: &Value) {
        let name = path.rsplit('.').next().unwrap_or(path);
        match (recorded, live) {
            // Numbers of the raft log.
            (Value::UInt(r), Value::UInt(l))
                if ["Index", "CreateIndex", "ModifyIndex"].contains(&name) =>
            {
                if (*r == 0) != (*l == 0) {
                    self.differs(label, path, r, l);
                }
                self.seen.push(Seen {
                    call: label.to_owned(),
                    path: path.to_owned(),
                    recorded: *r,
                    live: *l,
                });
            }
            // These count everything in the log, also what was not replayed.
            (Value::UInt(r), Value::UInt(l)) if ["LastIndex", "LastTerm"].contains(&name) => {
                if (*r == 0) != (*l == 0) {
                    self.differs(label, path, r, l);
                }
            }
            (Value::Map(r), Value::Map(l)) => self.map(label, path, r, l),
            (Value::Array(r), Value::Array(l)) => {
                if r.len() != l.len() {
                    self.differs(label, path, r, l);
                }
                for (n, (r, l)) in r.iter().zip(l).enumerate() {
                    self.value(label, &format!("{path}[{n}]"), r, l);
                }
            }
            (r, l) if r.is_text(RECORDED_SERVER) => {
                if !l.is_text(&self.server) {
                    self.differs(
                        label,
                        path,
                        format!("the server's address, {}", self.server),
                        l,
                    );
                }
            }
            (r, l) if r == l => {}
            (r, l) => self.differs(label, path, r, l),
        }
    }

    /// Structs: the same keys in the same order, but for keys that are younger
    /// than the recording.
    fn map(
        &mut self,
        label: &str,
        path: &str,
        recorded: &[(Value, Value)],
        live: &[(Value, Value)],
    ) {
        let young = |key: &Value| {
            self.version
                .may_be_new()
                .iter()
                .any(|name| key.is_text(name))
                && !recorded.iter().any(|(recorded, _)| recorded == key)
        };
        let live: Vec<_> = live.iter().filter(|(key, _)| !young(key)).collect();
        let recorded_keys: Vec<&Value> = recorded.iter().map(|(key, _)| key).collect();
        let live_keys: Vec<&Value> = live.iter().map(|(key, _)| key).collect();
        if recorded_keys != live_keys {
            self.differs(label, &format!("keys of {path}"), recorded_keys, live_keys);
            return;
        }
        for ((key, recorded), (_, live)) in recorded.iter().zip(live) {
            let key = format!("{key:?}");
            self.value(
                label,
                &format!("{path}.{}", key.trim_matches('"')),
                recorded,
                live,
            );
        }
    }

    /// Looks at the indexes of the whole run, and gives back what was found.
    pub(crate) fn finish(mut self) -> Vec<Difference> {
        let mut seen = std::mem::take(&mut self.seen);
        seen.sort_by_key(|seen| seen.recorded);
        for pair in seen.windows(2) {
            let [a, b] = pair else { continue };
            if a.recorded.cmp(&b.recorded) != a.live.cmp(&b.live) {
                self.differences.push(Difference {
                    call: format!("{} and {}", a.call, b.call),
                    at: format!("{} and {}", a.path, b.path),
                    recorded: format!("{} and {}", a.recorded, b.recorded),
                    live: format!("{} and {}", a.live, b.live),
                });
            }
        }
        self.differences
    }
}

/// Whether a good reply of this method holds something that varies.
fn varies(method: &str) -> bool {
    [
        "KVS.Get",
        "KVS.List",
        "KVS.ListKeys",
        "Status.Leader",
        "Status.Peers",
        "Status.RaftStats",
    ]
    .contains(&method)
}

/// A reply in a message: decoded where that works.
struct Shown<'a>(&'a [u8]);

impl fmt::Debug for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match msgpack::decode_pair(self.0) {
            Ok((header, body, rest)) => {
                write!(f, "{header:?} {body:?}, then {} bytes; ", rest.len())?
            }
            Err(err) => write!(f, "not a reply ({err:?}); ")?,
        }
        let shown = &self.0[..self.0.len().min(160)];
        write!(f, "{} bytes: ", self.0.len())?;
        shown.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}
