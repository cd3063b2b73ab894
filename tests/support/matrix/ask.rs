//! What clients say.

use super::msgpack::Value;

pub(crate) const DATA: u8 = 0;
pub(crate) const WINDOW: u8 = 1;
pub(crate) const PING: u8 = 2;
pub(crate) const GO_AWAY: u8 = 3;
pub(crate) const SYN: u16 = 1;
pub(crate) const ACK: u16 = 2;
pub(crate) const FIN: u16 = 4;
pub(crate) const RST: u16 = 8;

pub(crate) fn text(text: &str) -> Value {
    Value::Raw(text.as_bytes().to_vec())
}

pub(crate) fn map<const N: usize>(entries: [(&str, Value); N]) -> Value {
    let entries = entries.map(|(key, value)| (text(key), value));
    Value::Map(entries.into())
}

/// A request with a body as it is.
pub(crate) fn request(seq: u64, method: &str, body: &[u8]) -> Vec<u8> {
    let header = map([("Seq", Value::UInt(seq)), ("ServiceMethod", text(method))]);
    [&header.encode(), body].concat()
}

pub(crate) fn call<const N: usize>(method: &str, body: [(&str, Value); N]) -> Vec<u8> {
    request(1, method, &map(body).encode())
}

pub(crate) fn ping(seq: u64) -> Vec<u8> {
    request(seq, "Status.Ping", &[0x80])
}

/// A read of this key that waits for an index that will not come.
pub(crate) fn waits(seq: u64, key: &str, seconds: u64) -> Vec<u8> {
    let body = map([
        ("Datacenter", text("dc1")),
        ("Key", text(key)),
        ("MaxQueryTime", Value::UInt(seconds * 1_000_000_000)),
        ("MinQueryIndex", Value::UInt(1 << 40)),
    ]);
    request(seq, "KVS.Get", &body.encode())
}

/// A write.
pub(crate) fn set(key: &str, value: &[u8]) -> Vec<u8> {
    let entry = map([("Key", text(key)), ("Value", Value::Raw(value.to_vec()))]);
    let body = [
        ("Datacenter", text("dc1")),
        ("DirEnt", entry),
        ("Op", text("set")),
    ];
    call("KVS.Apply", body)
}

/// A write whose request has this size.
pub(crate) fn set_of(size: usize, value: usize) -> Vec<u8> {
    // Keys are shorter than 32 bytes, or their length takes two bytes more.
    let rest = size - set("", &vec![7; value]).len();
    let key = "k".repeat(if rest > 31 { rest - 2 } else { rest });
    let request = set(&key, &vec![7; value]);
    assert_eq!(request.len(), size);
    request
}

pub(crate) fn head(kind: u8, flags: u16, stream: u32, length: u32) -> Vec<u8> {
    let mut out = vec![0, kind];
    out.extend(flags.to_be_bytes());
    out.extend(stream.to_be_bytes());
    out.extend(length.to_be_bytes());
    out
}

pub(crate) fn open(stream: u32) -> Vec<u8> {
    head(WINDOW, SYN, stream, 0)
}

/// A data frame with these flags.
pub(crate) fn flagged(flags: u16, stream: u32, bytes: &[u8]) -> Vec<u8> {
    let length = u32::try_from(bytes.len()).expect("a frame");
    [&head(DATA, flags, stream, length), bytes].concat()
}

pub(crate) fn data(stream: u32, bytes: &[u8]) -> Vec<u8> {
    flagged(0, stream, bytes)
}

/// A stream that is opened and says this.
pub(crate) fn stream(stream: u32, bytes: &[u8]) -> Vec<u8> {
    [open(stream), data(stream, bytes)].concat()
}

/// The start of a yamux session, with these frames behind.
pub(crate) fn session<const N: usize>(frames: [Vec<u8>; N]) -> Vec<u8> {
    [vec![4], frames.concat()].concat()
}

/// The start of a net/rpc session, with these requests behind.
pub(crate) fn plain<const N: usize>(requests: [Vec<u8>; N]) -> Vec<u8> {
    [vec![0], requests.concat()].concat()
}
