//! Reading the recordings: one JSON object per line is one call.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;

use super::msgpack;
use super::yamux::{self, Event};

/// Which Consul was recorded.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Version {
    /// The development build 1.10.0: replies have one key less.
    V1_10,
    /// The release 1.13.9, which is the reference.
    V1_13,
}

impl Version {
    fn folder(self) -> &'static str {
        match self {
            Version::V1_10 => "consul-1.10",
            Version::V1_13 => "consul-1.13",
        }
    }

    /// Keys of a reply that the recorded version did not have yet.
    pub(crate) fn may_be_new(self) -> &'static [&'static str] {
        match self {
            Version::V1_10 => &["ResultsFilteredByACLs"],
            Version::V1_13 => &[],
        }
    }
}

/// The calls of one file, in the order in which they were made.
pub(crate) struct Set {
    pub(crate) version: Version,
    pub(crate) name: &'static str,
    pub(crate) calls: Vec<Call>,
}

/// One recorded call.
pub(crate) struct Call {
    pub(crate) name: String,
    pub(crate) method: String,
    /// Header and body as they were sent.
    pub(crate) request: Vec<u8>,
    /// Header and body as they came back on a connection of their own.
    pub(crate) reply: Vec<u8>,
    /// The same call again, over yamux.
    pub(crate) multi: Option<Multi>,
    pub(crate) single_end: End,
    pub(crate) uses: Vec<Use>,
    pub(crate) before: Vec<Vec<u8>>,
    pub(crate) during: Vec<During>,
    pub(crate) wait_before: Duration,
    pub(crate) elapsed: Duration,
}

/// The yamux run of a call.
pub(crate) struct Multi {
    /// What the client wrote, byte 4 first.
    pub(crate) sent: Vec<u8>,
    /// The frames that came back, the data of neighbours joined.
    pub(crate) events: Vec<Event>,
}

/// How the server ended the connection after the reply.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    Open,
    Fin,
    Reset,
    /// The recording does not say.
    Unknown,
}

/// A value of the request that came from an earlier reply.
#[derive(Clone, Deserialize)]
pub(crate) struct Use {
    pub(crate) path: String,
    pub(crate) from: String,
    pub(crate) transport: String,
    pub(crate) reply_path: String,
    #[serde(default)]
    pub(crate) add: i64,
}

/// A request on another connection while the call blocks.
#[derive(Clone)]
pub(crate) struct During {
    pub(crate) after: Duration,
    pub(crate) request: Vec<u8>,
}

#[derive(Deserialize)]
struct Line {
    name: String,
    method: Option<String>,
    request_payload_hex: String,
    response_payload_hex: String,
    single_c2s_hex: String,
    single_s2c_hex: String,
    multi_c2s_hex: Option<String>,
    multi_s2c_hex: Option<String>,
    single_end: Option<String>,
    #[serde(default)]
    uses: Vec<Use>,
    #[serde(default)]
    before: Vec<String>,
    #[serde(default)]
    during: Vec<DuringLine>,
    #[serde(default)]
    wait_before_ms: u64,
    #[serde(default)]
    elapsed_ms: u64,
    #[serde(default)]
    elided: BTreeMap<String, Vec<Elided>>,
}

#[derive(Deserialize)]
struct DuringLine {
    after_ms: u64,
    request_payload_hex: String,
}

/// A run of equal bytes that the file leaves out.
#[derive(Deserialize)]
struct Elided {
    offset: usize,
    byte: String,
    count: usize,
}

/// Where the recordings are.
pub(crate) fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("tests")
        .join("golden")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|err| panic!("{}: {err}", path.display()))
}

/// All sets, in the order in which they are replayed.
pub(crate) fn sets() -> Vec<Set> {
    let newer = ["plain", "blocking", "extra", "acl"].map(|name| load(Version::V1_13, name));
    let mut older = ["plain", "blocking", "acl"].map(|name| load(Version::V1_10, name));
    for set in &mut older {
        let same = newer
            .iter()
            .find(|newer| newer.name == set.name)
            .expect("1.13 has every set of 1.10");
        borrow(set, same);
    }
    newer.into_iter().chain(older).collect()
}

/// The older recording does not tell where values came from and what happened
/// meanwhile. The newer one repeated its requests, name by name, and does.
fn borrow(older: &mut Set, newer: &Set) {
    for call in &mut older.calls {
        if let Some(same) = newer.calls.iter().find(|same| same.name == call.name) {
            call.uses = same.uses.clone();
            call.during = same.during.clone();
            call.wait_before = same.wait_before;
        }
    }
}

fn load(version: Version, name: &'static str) -> Set {
    let path = folder()
        .join(version.folder())
        .join(format!("{name}-index.jsonl"));
    let calls = read(&path)
        .lines()
        .enumerate()
        .map(|(n, line)| {
            serde_json::from_str::<Line>(line)
                .map_err(|err| err.to_string())
                .and_then(|line| call(version, line))
                .unwrap_or_else(|err| panic!("{}, line {}: {err}", path.display(), n + 1))
        })
        .collect();
    Set {
        version,
        name,
        calls,
    }
}

fn call(version: Version, line: Line) -> Result<Call, String> {
    let whole = |field: &str, hex: &str| hydrate(hex, line.elided.get(field));
    let request = whole("request_payload_hex", &line.request_payload_hex)?;
    let reply = whole("response_payload_hex", &line.response_payload_hex)?;
    // What the file says twice must agree, or one of the two was misread.
    let sent = whole("single_c2s_hex", &line.single_c2s_hex)?;
    if sent.split_first() != Some((&0, &request[..])) {
        return Err("single_c2s_hex is not byte 0 and the request".to_owned());
    }
    if whole("single_s2c_hex", &line.single_s2c_hex)? != reply {
        return Err("single_s2c_hex is not the reply".to_owned());
    }
    match msgpack::decode_pair(&reply) {
        Ok((_, _, [])) => {}
        other => return Err(format!("the reply is not a header and a body: {other:?}")),
    }
    let multi = match (&line.multi_c2s_hex, &line.multi_s2c_hex) {
        (Some(sent), Some(received)) => Some(Multi {
            sent: whole("multi_c2s_hex", sent)?,
            events: yamux::events(&whole("multi_s2c_hex", received)?)?,
        }),
        (None, None) => None,
        _ => return Err("only one direction of the yamux run".to_owned()),
    };
    let during = |d: &DuringLine| {
        Ok::<_, String>(During {
            after: Duration::from_millis(d.after_ms),
            request: unhex(&d.request_payload_hex)?,
        })
    };
    Ok(Call {
        single_end: match (version, line.single_end.as_deref()) {
            (Version::V1_10, None) => End::Unknown,
            (Version::V1_13, None) => End::Open,
            (_, Some("FIN")) => End::Fin,
            (_, Some("RST")) => End::Reset,
            (_, Some(other)) => return Err(format!("unknown end {other}")),
        },
        name: line.name,
        method: line.method.unwrap_or_default(),
        request,
        reply,
        multi,
        uses: line.uses,
        before: line
            .before
            .iter()
            .map(|hex| unhex(hex))
            .collect::<Result<_, _>>()?,
        during: line.during.iter().map(during).collect::<Result<_, _>>()?,
        wait_before: Duration::from_millis(line.wait_before_ms),
        elapsed: Duration::from_millis(line.elapsed_ms),
    })
}

fn unhex(text: &str) -> Result<Vec<u8>, String> {
    let digits = text.as_bytes().chunks(2);
    digits
        .map(|pair| {
            let pair = std::str::from_utf8(pair).map_err(|err| err.to_string())?;
            u8::from_str_radix(pair, 16).map_err(|err| format!("{pair:?} is no byte: {err}"))
        })
        .collect()
}

/// Puts back what was left out. Offsets count in the short form, so the last
/// one goes first.
fn hydrate(hex: &str, elided: Option<&Vec<Elided>>) -> Result<Vec<u8>, String> {
    let mut bytes = unhex(hex)?;
    let mut runs: Vec<&Elided> = elided.into_iter().flatten().collect();
    runs.sort_by_key(|run| std::cmp::Reverse(run.offset));
    for run in runs {
        let [byte] = unhex(&run.byte)?[..] else {
            return Err("an elided run repeats one byte".to_owned());
        };
        bytes.splice(run.offset..run.offset, std::iter::repeat_n(byte, run.count));
    }
    Ok(bytes)
}

/// The checked-in list of calls that are not replayed: `version set name`, and
/// why.
pub(crate) fn left_out() -> BTreeSet<String> {
    let path = folder().join("left-out.txt");
    let mut names = BTreeSet::new();
    for line in read(&path)
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let (name, reason) = line
            .split_once('|')
            .unwrap_or_else(|| panic!("no reason: {line}"));
        assert!(!reason.trim().is_empty(), "no reason: {line}");
        let name = name.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(names.insert(name), "twice: {line}");
    }
    names
}

impl Set {
    /// The call's name in the list of those left out, and in messages.
    pub(crate) fn full_name(&self, call: &Call) -> String {
        let version = match self.version {
            Version::V1_10 => "1.10",
            Version::V1_13 => "1.13.9",
        };
        format!("{version} {} {}", self.name, call.name)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elided_runs_come_back_where_they_were() {
        let runs = vec![
            Elided {
                offset: 1,
                byte: "61".to_owned(),
                count: 3,
            },
            Elided {
                offset: 2,
                byte: "62".to_owned(),
                count: 2,
            },
        ];
        assert_eq!(
            hydrate("010203", Some(&runs)),
            Ok(b"\x01aaa\x02bb\x03".to_vec())
        );
        assert_eq!(hydrate("0102", None), Ok(vec![1, 2]));
    }
}
