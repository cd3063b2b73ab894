//! Comparing what was seen of both: byte for byte, but for indexes and the servers' own addresses.
//!
//! A good reply is compared decoded. Decoding forgives, so what ours wrote must also be exactly what
//! Consul's encoder writes for that value, in order and width.

use std::net::SocketAddr;

use super::both::Both;
use super::sight::{Line, Sight};
use crate::matrix::msgpack::{self, Value};

/// Numbers of the log.
pub(crate) const INDEXES: [&str; 3] = ["Index", "CreateIndex", "ModifyIndex"];
/// These count everything in the log, also what no call of ours wrote.
pub(crate) const POSITIONS: [&str; 2] = ["LastIndex", "LastTerm"];

/// Where the two differ, in words; or the indexes that stand beside each other.
pub(crate) type Compared = Result<Vec<Both<u64>>, String>;

/// Everything that came.
pub(crate) fn sights(seen: &Both<Sight>, addrs: &Both<SocketAddr>) -> Compared {
    let Both { consul, ours } = seen;
    if consul.end != ours.end {
        return Err("the connection's end".to_owned());
    }
    if consul.session != ours.session {
        return Err("what is said to the session".to_owned());
    }
    if !consul.lines.keys().eq(ours.lines.keys()) {
        return Err("the streams that were heard of".to_owned());
    }
    let mut pairs = Vec::new();
    for (number, line) in &consul.lines {
        let found = lines(line, &ours.lines[number], addrs);
        pairs.extend(found.map_err(|place| format!("stream {number}: {place}"))?);
    }
    Ok(pairs)
}

/// What came over one line.
pub(crate) fn lines(consul: &Line, ours: &Line, addrs: &Both<SocketAddr>) -> Compared {
    if consul.end != ours.end {
        return Err("its end".to_owned());
    }
    if consul.acked != ours.acked {
        return Err("its acknowledgement".to_owned());
    }
    if let Some(odd) = ours.odd.first().filter(|_| consul.odd.is_empty()) {
        return Err(odd.clone());
    }
    let mut pairs = Vec::new();
    let (mut theirs, mut left) = (&consul.data[..], &ours.data[..]);
    for number in 1.. {
        match (msgpack::decode_pair(theirs), msgpack::decode_pair(left)) {
            (Ok((header, body, rest)), Ok((our_header, our_body, our_rest))) => {
                let at = |place: &str| format!("reply {number}, {place}");
                let written = [our_header.encode(), our_body.encode()].concat();
                let said = &left[..left.len() - our_rest.len()];
                if written != said {
                    return Err(at("the form of a value"));
                }
                let mut walk = Walk {
                    addrs,
                    pairs: &mut pairs,
                };
                walk.value("header", &header, &our_header)
                    .and_then(|()| walk.value("body", &body, &our_body))
                    .map_err(|place| at(&place))?;
                (theirs, left) = (rest, our_rest);
            }
            _ if theirs == left => return Ok(pairs),
            _ => return Err(format!("reply {number}")),
        }
    }
    Ok(pairs)
}

struct Walk<'a> {
    addrs: &'a Both<SocketAddr>,
    pairs: &'a mut Vec<Both<u64>>,
}

impl Walk<'_> {
    fn value(&mut self, path: &str, consul: &Value, ours: &Value) -> Result<(), String> {
        let name = path.rsplit('.').next().unwrap_or(path);
        match (consul, ours) {
            (Value::UInt(consul), Value::UInt(ours)) if INDEXES.contains(&name) => {
                self.pairs.push(Both::new(*consul, *ours));
            }
            (Value::UInt(consul), Value::UInt(ours)) if POSITIONS.contains(&name) => {
                if (*consul == 0) != (*ours == 0) {
                    return Err(path.to_owned());
                }
            }
            (Value::Map(consul), Value::Map(ours)) => {
                if !keys(consul).eq(keys(ours)) {
                    return Err(format!("the keys of {path}"));
                }
                for ((key, consul), (_, ours)) in consul.iter().zip(ours) {
                    let key = format!("{key:?}");
                    self.value(&format!("{path}.{}", key.trim_matches('"')), consul, ours)?;
                }
            }
            (Value::Array(consul), Value::Array(ours)) if consul.len() == ours.len() => {
                for (number, (consul, ours)) in consul.iter().zip(ours).enumerate() {
                    self.value(&format!("{path}[{number}]"), consul, ours)?;
                }
            }
            (consul, ours) if consul.is_text(&self.addrs.consul.to_string()) => {
                if !ours.is_text(&self.addrs.ours.to_string()) {
                    return Err(format!("{path}, the server's own address"));
                }
            }
            (consul, ours) if consul == ours => {}
            _ => return Err(path.to_owned()),
        }
        Ok(())
    }
}

fn keys(entries: &[(Value, Value)]) -> impl Iterator<Item = &Value> {
    entries.iter().map(|(key, _)| key)
}
