//! What came back, as a file tells it and as it came today: brought into one form, in which only
//! what may not differ is left.

use std::{collections::BTreeMap, net::SocketAddr, time::Duration};

use super::{
    ask::{ACK, DATA, FIN, GO_AWAY, PING, RST, WINDOW},
    file::{Form, Recording},
    literal::Literal,
    msgpack::{self, Value},
    peer::Played,
};

/// The address of the server that was recorded.
const RECORDED_SERVER: &str = "127.0.0.1:28300";
/// Credit is given for at least half a window, or it would cost more frames than it frees.
const HALF_WINDOW: u32 = 131_072;
/// The key that replies have since 1.13, and the bytes that it takes with its value.
const YOUNGER_KEY: (&str, u32) = ("ResultsFilteredByACLs", 23);

/// How a connection ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum End {
    Open,
    Fin,
    Rst,
}

impl End {
    /// The end that a line tells, if it tells one.
    fn told(line: &str) -> Option<End> {
        if line.contains("still-open") || line.starts_with("open") {
            Some(End::Open)
        } else if line == "RST" || line.contains("connection reset by peer") {
            Some(End::Rst)
        } else if line.contains("EOF") || line.starts_with("closed(FIN)") {
            Some(End::Fin)
        } else {
            None
        }
    }
}

/// What came back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) enum Answer {
    Port {
        end: End,
        /// Rounded to 10 ms.
        after: Duration,
        bytes: String,
    },
    /// Tenths of seconds, and bytes or the end.
    Times(Vec<(u128, String)>),
    Frames(Vec<Phase>),
    /// The sizes of data frames.
    Sizes(Vec<(Vec<u32>, End)>),
    Replies {
        end: Option<End>,
        replies: Vec<String>,
    },
}

impl Answer {
    /// How many bytes of data came in each phase.
    pub(crate) fn totals(&self) -> Vec<u32> {
        match self {
            Answer::Sizes(phases) => phases.iter().map(|(sizes, _)| sizes.iter().sum()).collect(),
            _ => Vec::new(),
        }
    }
}

/// What came until the client went on. Streams are told apart: which of two is served first is
/// chance, and the recordings have a phase wherever it is not.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Phase {
    streams: BTreeMap<u32, Vec<String>>,
    /// Pings and go-aways.
    session: Vec<String>,
    end: End,
}

/// A frame that the server sent.
#[derive(Debug)]
struct Frame {
    kind: u8,
    flags: u16,
    stream: u32,
    length: u32,
    data: Vec<u8>,
}

impl Recording {
    /// The answer in lines of this recording's form.
    pub(crate) fn told(&self, lines: &[String]) -> Answer {
        match self.form {
            Form::Port => port(&lines[0]),
            Form::Times => Answer::Times(lines.iter().map(|line| time(line)).collect()),
            Form::Frames => Answer::Frames(frames_told(lines)),
            Form::Sizes => Answer::Sizes(sizes_told(lines)),
            Form::Bytes => {
                let (end, reply) = lines[0].split_once(" | ").expect("an end and a reply");
                self.bytes_told(end, Literal::read(reply).raw())
            }
            Form::Json => json_told(self, lines),
            Form::Tuples => tuples_told(&lines[0]),
            Form::Heads => Answer::Replies {
                end: None,
                replies: lines.iter().map(|line| head_told(line)).collect(),
            },
            Form::Limit | Form::Foreign => panic!("{} is not compared so", self.name),
        }
    }

    /// How many bytes of data must come in each phase, with the key that the older build lacks.
    pub(crate) fn totals(&self, recorded: &Answer) -> Vec<u32> {
        let mut totals = recorded.totals();
        if let (true, Some(last)) = (self.is_older(), totals.last_mut()) {
            *last += YOUNGER_KEY.1;
        }
        totals
    }

    /// The same of what came now; `recorded` says how much of it the file tells.
    pub(crate) fn live(
        &self,
        played: &Played,
        apart: &[bool],
        server: SocketAddr,
        recorded: &Answer,
    ) -> Answer {
        match self.form {
            Form::Port => Answer::Port {
                end: played.end,
                after: rounded(played.after),
                bytes: hex(&played.all()),
            },
            Form::Times => Answer::Times(times(played)),
            Form::Frames => Answer::Frames(
                phases(played, apart)
                    .map(|(bytes, end)| Phase::new(frames(&bytes), end))
                    .collect(),
            ),
            Form::Sizes => Answer::Sizes(
                phases(played, apart)
                    .map(|(bytes, end)| (data_sizes(&bytes), end))
                    .collect(),
            ),
            Form::Bytes | Form::Json => Answer::Replies {
                end: Some(played.end),
                replies: self.pairs(&played.all(), &server.to_string()),
            },
            Form::Tuples => tuples(played, server, recorded),
            Form::Heads => Answer::Replies {
                end: None,
                replies: heads(played, self.lines[0].contains(" at ")),
            },
            Form::Limit | Form::Foreign => panic!("{} is not compared so", self.name),
        }
    }

    /// Of the build that lacks the younger key.
    fn is_older(&self) -> bool {
        self.file.starts_with("consul-1.10")
    }

    fn bytes_told(&self, end: &str, bytes: &[u8]) -> Answer {
        Answer::Replies {
            end: End::told(end),
            replies: self.pairs(bytes, RECORDED_SERVER),
        }
    }

    /// Header and body of each reply: indexes by their order, the address by its role.
    fn pairs(&self, bytes: &[u8], server: &str) -> Vec<String> {
        let told = |(mut header, mut body): (Value, Value)| {
            if let (true, Value::Map(entries)) = (self.is_older(), &mut body) {
                entries.retain(|(key, _)| !key.is_text(YOUNGER_KEY.0));
            }
            let mut indexes = Vec::new();
            visit(&mut body, &mut |value| indexes.extend(value.as_u64()));
            indexes.sort_unstable();
            indexes.dedup();
            visit(&mut body, &mut |value| {
                let rank = indexes
                    .iter()
                    .position(|index| value.as_u64() == Some(*index));
                if value.as_u64() != Some(0) {
                    *value = Value::Raw(format!("index {rank:?}").into_bytes());
                }
            });
            for value in [&mut header, &mut body] {
                if value.is_text(server) {
                    *value = Value::Raw(b"the server".to_vec());
                }
            }
            format!("{} {}", python(&header), python(&body))
        };
        split(bytes)
            .into_iter()
            .map(|pair| pair.map_or_else(|bad| bad, told))
            .collect()
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn rounded(time: Duration) -> Duration {
    Duration::from_millis((u64::try_from(time.as_millis()).expect("a short time") + 5) / 10 * 10)
}

/// The digits behind a mark, or whatever is there until the next blank.
fn field<'a>(line: &'a str, mark: &str) -> &'a str {
    let (_, rest) = line
        .split_once(mark)
        .unwrap_or_else(|| panic!("no {mark} in {line}"));
    rest.split(' ').next().unwrap_or(rest)
}

fn port(line: &str) -> Answer {
    let (bytes, payload) = line.split_once("received ").expect("how much was received");
    let (count, payload) = payload.split_once(" bytes:").expect("what was received");
    let payload = payload.trim();
    assert_eq!(count, (payload.len() / 2).to_string(), "{line}");
    let after = field(bytes, "after ").trim_end_matches("ms,");
    Answer::Port {
        end: End::told(line).expect("an end"),
        after: rounded(Duration::from_millis(after.parse().expect("milliseconds"))),
        bytes: payload.to_owned(),
    }
}

fn time(line: &str) -> (u128, String) {
    let (time, what) = line.split_once("s ").expect("seconds and what came");
    let tenths = time.replace('.', "").parse().expect("tenths of a second");
    (tenths, what.to_owned())
}

fn times(played: &Played) -> Vec<(u128, String)> {
    let mut times = Vec::new();
    for (at, bytes) in played.turns.iter().flatten() {
        times.push((at.as_millis() / 100, hex(bytes)));
    }
    if played.end == End::Fin {
        times.push((played.after.as_millis() / 100, "EOF".to_owned()));
    }
    times
}

/// What came until the client went on, and whether that was the end.
fn phases<'a>(played: &'a Played, apart: &'a [bool]) -> impl Iterator<Item = (Vec<u8>, End)> + 'a {
    let last = played.turns.len() - 1;
    let mut bytes = Vec::new();
    (0..=last).filter_map(move |n| {
        bytes.extend(played.turn(n));
        let end = if n == last { played.end } else { End::Open };
        (apart[n] || n == last).then(|| (std::mem::take(&mut bytes), end))
    })
}

impl Phase {
    fn new(frames: Vec<Frame>, end: End) -> Phase {
        let mut phase = Phase {
            streams: BTreeMap::new(),
            session: Vec::new(),
            end,
        };
        for frame in frames {
            match frame.kind {
                PING => phase
                    .session
                    .push(format!("PING {:x} {:#x}", frame.flags, frame.length)),
                GO_AWAY => phase.session.push(format!("GOAWAY {}", frame.length)),
                _ => phase.stream(&frame),
            }
        }
        phase
    }

    /// Which frame carries a flag, and how data is cut, is the sender's affair.
    fn stream(&mut self, frame: &Frame) {
        let events = self.streams.entry(frame.stream).or_default();
        if frame.flags & ACK != 0 {
            events.push("ACK".to_owned());
        }
        if frame.kind == DATA && frame.length > 0 {
            match events.last_mut() {
                Some(last) if last.starts_with("DATA") => last.push_str(&hex(&frame.data)),
                _ => events.push(format!("DATA {}", hex(&frame.data))),
            }
        }
        if frame.kind == WINDOW && frame.length > 0 {
            let credit = match frame.length {
                HALF_WINDOW.. => "CREDIT".to_owned(),
                little => format!("CREDIT of only {little}"),
            };
            if events.last() != Some(&credit) {
                events.push(credit);
            }
        }
        for (flag, name) in [(FIN, "FIN"), (RST, "RST")] {
            if frame.flags & flag != 0 {
                events.push(name.to_owned());
            }
        }
    }
}

fn sizes_told(lines: &[String]) -> Vec<(Vec<u32>, End)> {
    let mut phases: Vec<(Vec<u32>, End)> = Vec::new();
    let mut sizes = Vec::new();
    for line in lines {
        if let Some((_, list)) = line.split_once('[') {
            let (list, rest) = list.split_once(']').expect("a list");
            let sizes = list.split(", ").map(|size| size.parse().expect("a size"));
            phases.push((sizes.collect(), End::told(rest).expect("an end")));
        } else if line.contains("type=DATA") {
            sizes.push(field(line, "len=").parse().expect("a size"));
        } else if let Some(end) = End::told(line) {
            phases.push((std::mem::take(&mut sizes), end));
        }
        if let Some((_, total)) = line.split_once(" total ") {
            let digits = total.split(|c: char| !c.is_ascii_digit()).next();
            let sum: u32 = phases.iter().flat_map(|(sizes, _)| sizes).sum();
            assert_eq!(digits, Some(sum.to_string().as_str()), "{line}");
        }
    }
    phases
}

fn frames_told(lines: &[String]) -> Vec<Phase> {
    let mut phases = Vec::new();
    let mut frames = Vec::new();
    for line in lines {
        if line.starts_with("s2c ") {
            frames.push(Frame::told(line));
        } else if let Some(end) = End::told(line) {
            phases.push(Phase::new(std::mem::take(&mut frames), end));
        } else {
            assert!(line.starts_with("now "), "what is {line}?");
        }
    }
    assert!(frames.is_empty(), "frames without an end");
    phases
}

impl Frame {
    fn told(line: &str) -> Frame {
        let kinds = ["DATA", "WINUPD", "PING", "GOAWAY"];
        let kind = kinds.iter().position(|name| line.contains(name));
        let flags = match field(line, "flags=") {
            "-" => 0,
            "ACK" => ACK,
            "FIN" => FIN,
            "RST" => RST,
            other => panic!("flags {other}"),
        };
        let last = line.rsplit(' ').next().expect("a word");
        let data = match last.strip_prefix("body=") {
            Some(body) => body,
            None if last.contains('=') => "",
            None => last,
        };
        let length = field(line, "len=").parse().expect("a length");
        let kind = u8::try_from(kind.expect("a kind of frame")).expect("one of four");
        if kind == DATA {
            assert_eq!(
                data.len() / 2,
                usize::try_from(length).expect("a length"),
                "{line}"
            );
        }
        Frame {
            kind,
            flags,
            stream: field(line, "stream=").parse().expect("a stream"),
            length,
            data: unhex(data),
        }
    }
}

/// Bytes in hex.
pub(crate) fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex"))
        .collect()
}

fn frames(mut bytes: &[u8]) -> Vec<Frame> {
    let mut frames = Vec::new();
    while let Some((head, rest)) = bytes.split_first_chunk::<12>() {
        let [version, kind, f0, f1, s0, s1, s2, s3, l0, l1, l2, l3] = *head;
        assert!(version == 0 && kind <= GO_AWAY, "no frame: {head:?}");
        let length = u32::from_be_bytes([l0, l1, l2, l3]);
        let carried = if kind == DATA { length } else { 0 };
        let carried = usize::try_from(carried).expect("a length");
        let (data, rest) = rest.split_at_checked(carried).expect("a whole frame");
        frames.push(Frame {
            kind,
            flags: u16::from_be_bytes([f0, f1]),
            stream: u32::from_be_bytes([s0, s1, s2, s3]),
            length,
            data: data.to_vec(),
        });
        bytes = rest;
    }
    assert!(bytes.is_empty(), "half a header: {bytes:?}");
    frames
}

fn data_sizes(bytes: &[u8]) -> Vec<u32> {
    let frames = frames(bytes).into_iter();
    frames
        .filter(|frame| frame.kind == DATA)
        .map(|frame| frame.length)
        .collect()
}

/// Header and body of each reply. What does not decode, or is not written as Consul writes it, is
/// told as it is.
fn split(mut bytes: &[u8]) -> Vec<Result<(Value, Value), String>> {
    let mut pairs = Vec::new();
    while !bytes.is_empty() {
        let Ok((header, body, rest)) = msgpack::decode_pair(bytes) else {
            pairs.push(Err(format!("undecodable {}", hex(bytes))));
            break;
        };
        let raw = &bytes[..bytes.len() - rest.len()];
        if [header.encode(), body.encode()].concat() == raw {
            pairs.push(Ok((header, body)));
        } else {
            pairs.push(Err(format!("otherwise encoded {}", hex(raw))));
        }
        bytes = rest;
    }
    pairs
}

/// All indexes of a body.
fn visit(value: &mut Value, seen: &mut dyn FnMut(&mut Value)) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| visit(item, seen)),
        Value::Map(entries) => {
            for (key, value) in entries {
                if ["Index", "CreateIndex", "ModifyIndex"]
                    .iter()
                    .any(|name| key.is_text(name))
                {
                    seen(value);
                } else {
                    visit(value, seen);
                }
            }
        }
        _ => {}
    }
}

/// As the recording program would print it inside of something.
fn python(value: &Value) -> String {
    let all = |items: &[Value]| items.iter().map(python).collect::<Vec<_>>().join(", ");
    match value {
        Value::Nil => "None".to_owned(),
        Value::Bool(true) => "True".to_owned(),
        Value::Bool(false) => "False".to_owned(),
        Value::UInt(number) => number.to_string(),
        Value::Int(number) => number.to_string(),
        Value::Raw(bytes) => format!("'{}'", bytes.escape_ascii()),
        Value::Array(items) => format!("[{}]", all(items)),
        Value::Map(entries) => {
            let entries = entries.iter();
            let entries = entries.map(|(key, value)| format!("{}: {}", python(key), python(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
    }
}

/// Error, number and body of a reply; the body is cut where the recording program cut it.
fn tuple(error: &str, seq: u64, body: &str) -> String {
    let mut shown = String::new();
    let mut left = body;
    while let Some((before, after)) = left.split_once("Index': ") {
        let rest = after.trim_start_matches(|c: char| c.is_ascii_digit());
        let number = &after[..after.len() - rest.len()];
        shown += before;
        shown += "Index': ";
        shown += if number == "0" { "0" } else { "n" };
        left = rest;
    }
    format!("{seq} {error:?} {shown}{left}")
}

fn tuples_told(line: &str) -> Answer {
    let (end, list) = line.split_once('[').expect("an end and a list");
    let list = Literal::read(&format!("[{list}"));
    let one = |item: &Literal| match item.list() {
        [error, seq, body] => {
            let body = body.text().replace(RECORDED_SERVER, "the server");
            tuple(&error.text(), seq.number(), &body)
        }
        other => panic!("no reply: {other:?}"),
    };
    Answer::Replies {
        end: End::told(end),
        replies: list.list().iter().map(one).collect(),
    }
}

fn tuples(played: &Played, server: SocketAddr, recorded: &Answer) -> Answer {
    let Answer::Replies { replies: told, .. } = recorded else {
        panic!("replies are compared with replies")
    };
    let one = |(n, pair): (usize, Result<(Value, Value), String>)| {
        let (header, body) = match pair {
            Ok(pair) => pair,
            Err(bad) => return bad,
        };
        let body = match &body {
            Value::Raw(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            other => python(other),
        };
        let body = body.replace(&server.to_string(), "the server");
        let mut shown = tuple(&error(&header), seq(&header), &body);
        match told.get(n) {
            // It printed 80 characters of a body.
            Some(told) if told.ends_with("'Flags': ") => shown.truncate(told.len()),
            _ => {}
        }
        shown
    };
    Answer::Replies {
        end: Some(played.end),
        replies: split(&played.all())
            .into_iter()
            .enumerate()
            .map(one)
            .collect(),
    }
}

fn error(header: &Value) -> String {
    match header.at("Error") {
        Some(Value::Raw(text)) => String::from_utf8_lossy(text).into_owned(),
        other => panic!("an error that is {other:?}"),
    }
}

fn seq(header: &Value) -> u64 {
    header.at("Seq").and_then(Value::as_u64).expect("a number")
}

fn head_told(line: &str) -> String {
    if line.starts_with('{') {
        let head = Literal::read(line);
        let (seq, method, error) = (head.at("Seq"), head.at("ServiceMethod"), head.at("Error"));
        return format!("{} {} {:?}", seq.number(), method.text(), error.text());
    }
    let waited = field(line, " at ").trim_end_matches("ms");
    let waited = Duration::from_millis(waited.parse().expect("milliseconds"));
    let (seq, method) = (field(line, "seq="), field(line, "method="));
    format!("{seq} {method} {} {}", field(line, "err="), wait(waited))
}

/// A query that waits takes what it asked for, and at most a sixteenth more.
fn wait(waited: Duration) -> &'static str {
    let second = Duration::from_secs(1);
    if waited >= second && waited <= second + second / 16 {
        "after the wait"
    } else {
        "at another time"
    }
}

fn heads(played: &Played, timed: bool) -> Vec<String> {
    let chunks = played.turns.iter().flatten();
    let replies = chunks.flat_map(|(at, bytes)| {
        let all = split(bytes).into_iter();
        all.map(move |pair| (*at, pair))
    });
    let one = |(at, pair): (Duration, Result<(Value, Value), String>)| match pair {
        Err(bad) => bad,
        Ok((header, _)) => {
            let method = header.at("ServiceMethod").map(python).unwrap_or_default();
            let method = method.trim_matches('\'');
            let told = format!("{} {method} {:?}", seq(&header), error(&header));
            if timed {
                format!("{told} {}", wait(at))
            } else {
                told
            }
        }
    };
    replies.map(one).collect()
}

fn json_told(recording: &Recording, lines: &[String]) -> Answer {
    let mut bytes = Vec::new();
    let mut end = None;
    let mut range = None;
    for line in lines {
        if let Some((_, at)) = line.split_once("(bytes ") {
            range = at.trim_end_matches(')').split_once("..");
        } else if let Some(json) = line.strip_prefix("JSON: ") {
            let json = serde_json::from_str(json).expect("JSON");
            let (from, to) = range.take().expect("where the value lies");
            assert_eq!(bytes.len().to_string(), from, "{}", recording.name);
            bytes.extend(value(&json).encode());
            assert_eq!(bytes.len().to_string(), to, "{}", recording.name);
        } else {
            end = end.or(End::told(line));
        }
    }
    let replies = recording.pairs(&bytes, RECORDED_SERVER);
    Answer::Replies { end, replies }
}

/// Keys of structs are sorted in both.
fn value(json: &serde_json::Value) -> Value {
    use serde_json::Value as Json;
    match json {
        Json::Null => Value::Nil,
        Json::Bool(value) => Value::Bool(*value),
        Json::Number(number) => Value::UInt(number.as_u64().expect("no negative number")),
        Json::String(text) => Value::Raw(text.clone().into_bytes()),
        Json::Array(items) => Value::Array(items.iter().map(value).collect()),
        Json::Object(entries) => {
            let entries = entries.iter();
            let raw = |key: &str| Value::Raw(key.as_bytes().to_vec());
            Value::Map(entries.map(|(key, json)| (raw(key), value(json))).collect())
        }
    }
}
