//! Making the recorded calls again.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::io::{ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::thread;
use std::time::Duration;

use tokio::time::Instant;

use super::compare::{Comparison, Difference, How};
use super::msgpack::{self, Bad, Value};
use super::record::{Call, End, Multi, Set};
use super::yamux::{self, Event};

/// How late an answer may be. None may be early.
const SLACK: Duration = Duration::from_secs(4);
/// How long any call may take; the recorded ones took two seconds at most.
const LIMIT: Duration = Duration::from_secs(20);
/// A server that ends a connection does it within this time.
const END: Duration = Duration::from_millis(250);
/// Connections kept open to see whether the server ends them. A server allows
/// about a hundred.
const KEPT: usize = 40;

/// What came of a set.
#[derive(Default)]
pub(crate) struct Outcome {
    pub(crate) recorded: usize,
    pub(crate) bytes: usize,
    pub(crate) decoded: usize,
    pub(crate) left_out: usize,
    pub(crate) differences: Vec<Difference>,
}

/// Replays a set against a server that holds no keys.
pub(crate) fn replay(set: &Set, server: SocketAddr, left_out: &BTreeSet<String>) -> Outcome {
    let mut run = Run {
        set,
        server,
        replies: HashMap::new(),
        comparison: Comparison::new(set.version, server.to_string()),
        kept: VecDeque::new(),
    };
    let mut outcome = Outcome {
        recorded: set.calls.len(),
        ..Outcome::default()
    };
    for call in &set.calls {
        if left_out.contains(&set.full_name(call)) {
            outcome.left_out += 1;
            continue;
        }
        match run.call(call) {
            How::Bytes => outcome.bytes += 1,
            How::Decoded => outcome.decoded += 1,
        }
    }
    while !run.kept.is_empty() {
        run.look_at_oldest();
    }
    outcome.differences = run.comparison.finish();
    outcome
}

/// Sends one request on a connection of its own and gives back the reply.
pub(crate) fn send(server: SocketAddr, request: &[u8]) -> Result<Vec<u8>, String> {
    single(server, request).map(|(reply, _)| reply)
}

/// A connection that has had its reply.
struct Kept {
    label: String,
    stream: TcpStream,
    since: Instant,
    wanted: End,
}

struct Run<'a> {
    set: &'a Set,
    server: SocketAddr,
    /// Bodies of replies, by call and transport.
    replies: HashMap<(String, &'static str), Value>,
    comparison: Comparison,
    kept: VecDeque<Kept>,
}

impl Run<'_> {
    fn call(&mut self, call: &Call) -> How {
        let name = self.set.full_name(call);
        for request in &call.before {
            if let Err(err) = send(self.server, request) {
                self.comparison
                    .differs(&name, "a request before it", "answered", err);
            }
        }
        pause(call.wait_before);
        let how = self.single(&format!("{name} (single)"), call);
        match &call.multi {
            Some(multi) => how.max(self.multi(&format!("{name} (yamux)"), call, multi)),
            None => how,
        }
    }

    fn single(&mut self, label: &str, call: &Call) -> How {
        let request = match self.request(call) {
            Ok(request) => request.unwrap_or_else(|| call.request.clone()),
            Err(err) => {
                self.comparison
                    .differs(label, "the request", "can be made", err);
                return How::Bytes;
            }
        };
        let (answer, took) = self.while_others_write(call, || single(self.server, &request));
        match answer {
            Ok((reply, stream)) => {
                self.time(label, call, took);
                self.remember(call, "single", &reply);
                let wanted = call.single_end;
                self.kept.push_back(Kept {
                    label: label.to_owned(),
                    stream,
                    since: Instant::now(),
                    wanted,
                });
                if self.kept.len() > KEPT {
                    self.look_at_oldest();
                }
                self.comparison.reply(label, call, &call.reply, &reply)
            }
            Err(err) => {
                self.comparison
                    .differs(label, "the connection", "a reply", err);
                How::Bytes
            }
        }
    }

    fn multi(&mut self, label: &str, call: &Call, multi: &Multi) -> How {
        let sent = self
            .request(call)
            .and_then(|request| yamux::client_bytes(&multi.sent, request.as_deref()));
        let (opening, closing) = match sent {
            Ok(sent) => sent,
            Err(err) => {
                self.comparison
                    .differs(label, "the request", "can be made", err);
                return How::Bytes;
            }
        };
        let (answer, took) =
            self.while_others_write(call, || session(self.server, &opening, &closing));
        let events = match answer {
            Ok(events) => events,
            Err(err) => {
                self.comparison
                    .differs(label, "the session", &multi.events, err);
                return How::Bytes;
            }
        };
        self.time(label, call, took);
        if shape(&multi.events) != shape(&events) {
            self.comparison
                .differs(label, "the frames", shape(&multi.events), shape(&events));
        }
        let reply = yamux::payload(&events);
        self.remember(call, "multi", &reply);
        self.comparison
            .reply(label, call, &yamux::payload(&multi.events), &reply)
    }

    fn remember(&mut self, call: &Call, transport: &'static str, reply: &[u8]) {
        if let Ok((_, body, _)) = msgpack::decode_pair(reply) {
            self.replies.insert((call.name.clone(), transport), body);
        }
    }

    /// The request with today's values in it; `None` when it needs none.
    fn request(&self, call: &Call) -> Result<Option<Vec<u8>>, String> {
        if call.uses.is_empty() {
            return Ok(None);
        }
        let (header, mut body, _) =
            msgpack::decode_pair(&call.request).map_err(|err| format!("{err:?}"))?;
        for part in &call.uses {
            let transport = if part.transport == "multi" {
                "multi"
            } else {
                "single"
            };
            let reply = self
                .replies
                .get(&(part.from.clone(), transport))
                .ok_or_else(|| {
                    format!(
                        "it needs the {transport} reply of {}, which is not there",
                        part.from
                    )
                })?;
            let value = reply.at(&part.reply_path).ok_or_else(|| {
                format!(
                    "the reply of {} has no {}: {reply:?}",
                    part.from, part.reply_path
                )
            })?;
            let value = match (value, part.add) {
                (value, 0) => value.clone(),
                (Value::UInt(number), add) => Value::UInt(number.wrapping_add_signed(add)),
                (other, _) => return Err(format!("nothing can be added to {other:?}")),
            };
            *body
                .at_mut(&part.path)
                .ok_or_else(|| format!("the request has no {}", part.path))? = value;
        }
        Ok(Some([header.encode(), body.encode()].concat()))
    }

    /// Makes a call, and the recorded writes of others while it waits.
    fn while_others_write<T>(&self, call: &Call, make: impl FnOnce() -> T) -> (T, Duration) {
        thread::scope(|scope| {
            for write in &call.during {
                scope.spawn(|| {
                    pause(write.after);
                    send(self.server, &write.request).expect("a write while the call waits")
                });
            }
            let start = Instant::now();
            let made = make();
            (made, start.elapsed())
        })
    }

    /// A blocking query may end by a write or by its time, and must end as it
    /// did when it was recorded.
    fn time(&mut self, label: &str, call: &Call, took: Duration) {
        let asked = msgpack::decode_pair(&call.request)
            .ok()
            .and_then(|(_, body, _)| {
                let waits = body.at("MinQueryIndex")?.as_u64()? > 0;
                let asked = Duration::from_nanos(body.at("MaxQueryTime")?.as_u64()?);
                (waits && !asked.is_zero()).then_some(asked)
            });
        let (from, to) = match (asked, call.during.last()) {
            (Some(asked), _) if call.elapsed >= asked => (asked, asked + asked / 16),
            (_, Some(write)) => (write.after, write.after),
            _ => (Duration::ZERO, call.elapsed),
        };
        if took < from || took > to + SLACK {
            self.comparison.differs(label, "its time", (from, to), took);
        }
    }

    /// Whether the server ended the oldest of the connections kept.
    fn look_at_oldest(&mut self) {
        let Some(Kept {
            label,
            mut stream,
            since,
            wanted,
        }) = self.kept.pop_front()
        else {
            return;
        };
        // An open connection is open when the time is over; an ended one may
        // tell at once, and a busy server gets longer.
        let patience = match wanted {
            End::Open | End::Unknown => END,
            End::Fin | End::Reset => SLACK,
        };
        let rest = patience
            .saturating_sub(since.elapsed())
            .max(Duration::from_millis(1));
        stream
            .set_read_timeout(Some(rest))
            .expect("a read can be timed");
        let got = match stream.read(&mut [0; 64]) {
            Ok(0) => Ok(End::Fin),
            Ok(n) => Err(format!("{n} bytes behind the reply")),
            Err(err) if err.kind() == ErrorKind::ConnectionReset => Ok(End::Reset),
            Err(err) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&err.kind()) => {
                Ok(End::Open)
            }
            Err(err) => Err(err.to_string()),
        };
        if got != Ok(wanted) && !(wanted == End::Unknown && got.is_ok()) {
            self.comparison
                .differs(&label, "the connection's end", wanted, got);
        }
    }
}

/// A session's events without its data: what was done, in which order.
fn shape(events: &[Event]) -> Vec<Event> {
    let bare = |event: &Event| match event {
        Event::Data { stream, flags, .. } => Event::Data {
            stream: *stream,
            flags: *flags,
            bytes: Vec::new(),
        },
        control @ Event::Control(_) => control.clone(),
    };
    events.iter().map(bare).collect()
}

/// Byte 0, a request, and its reply on a fresh connection.
fn single(server: SocketAddr, request: &[u8]) -> Result<(Vec<u8>, TcpStream), String> {
    let mut stream = connect(server, &[&[0], request].concat())?;
    let mut reply = Vec::new();
    let until = Instant::now() + LIMIT;
    loop {
        match msgpack::decode_pair(&reply) {
            Ok(_) => return Ok((reply, stream)),
            Err(Bad::Short) => more(&mut stream, &mut reply, until)?,
            Err(Bad::Marker(_)) => return Err(format!("what came is no reply: {reply:02x?}")),
        }
    }
}

/// Byte 4 and frames, until the reply is whole; then the client's last frame,
/// until the server has closed the stream too.
fn session(server: SocketAddr, opening: &[u8], closing: &[u8]) -> Result<Vec<Event>, String> {
    let mut stream = connect(server, opening)?;
    let (mut events, mut bytes) = (Vec::new(), Vec::new());
    let until = Instant::now() + LIMIT;
    let mut closed = false;
    loop {
        let left = yamux::take_events(&bytes, &mut events)?.len();
        bytes.drain(..bytes.len() - left);
        match msgpack::decode_pair(&yamux::payload(&events)) {
            Ok(_) if !closed => {
                stream.write_all(closing).map_err(|err| err.to_string())?;
                closed = true;
            }
            _ => {}
        }
        if yamux::stream_ended(&events) {
            return Ok(events);
        }
        more(&mut stream, &mut bytes, until).map_err(|err| format!("{err}, after {events:?}"))?;
    }
}

fn connect(server: SocketAddr, first: &[u8]) -> Result<TcpStream, String> {
    let open = || {
        let mut stream = TcpStream::connect_timeout(&server, LIMIT)?;
        stream.set_nodelay(true)?;
        stream.set_write_timeout(Some(LIMIT))?;
        stream.write_all(first)?;
        Ok(stream)
    };
    open().map_err(|err: std::io::Error| err.to_string())
}

/// Reads on, until a moment.
fn more(stream: &mut TcpStream, bytes: &mut Vec<u8>, until: Instant) -> Result<(), String> {
    let left = until.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(format!(
            "no whole reply within {LIMIT:?}, only {} bytes",
            bytes.len()
        ));
    }
    stream
        .set_read_timeout(Some(left))
        .map_err(|err| err.to_string())?;
    let mut chunk = vec![0; 64 << 10];
    match stream.read(&mut chunk) {
        Ok(0) => Err(format!("the connection ended after {} bytes", bytes.len())),
        Ok(n) => {
            bytes.extend_from_slice(&chunk[..n]);
            Ok(())
        }
        Err(err) => Err(format!("{err} after {} bytes", bytes.len())),
    }
}

/// Waits as long as the recorded client did.
fn pause(time: Duration) {
    #[expect(
        clippy::disallowed_methods,
        reason = "no runtime is blocked, and the recorded client waited too"
    )]
    thread::sleep(time);
}
