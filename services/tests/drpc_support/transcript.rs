//! Recordings of DAOS' own clients and servers: what went over the wire, packet by packet.

use std::path::Path;

/// One packet of a recording.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Recorded {
    /// The connection, counted from 0.
    pub(crate) connection: u32,
    /// Whether the client sent it.
    pub(crate) from_client: bool,
    pub(crate) bytes: Vec<u8>,
}

/// The text of a recording.
pub(crate) fn text(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/golden/drpc");
    std::fs::read_to_string(path.join(name)).unwrap()
}

/// All packets of a recording, in their order.
///
/// Long bodies are recorded in part. They are the alphabet over and over, so what is left out goes
/// on from the byte before it.
pub(crate) fn packets(name: &str) -> Vec<Recorded> {
    let mut packets: Vec<(usize, Recorded)> = Vec::new();
    let mut reading = false;
    for line in text(name).lines() {
        if let Some((length, packet)) = begins(line) {
            packets.push((length, packet));
            reading = true;
        } else if line.trim_start().starts_with("==") || line.starts_with("[-]") {
            // What follows repeats the message as a whole.
            reading = false;
        } else if reading && let Some((offset, bytes)) = hex_line(line) {
            let packet = &mut packets.last_mut().unwrap().1.bytes;
            // What is no message is shown again from its beginning.
            packet.truncate(offset);
            while packet.len() < offset {
                packet.push(after(*packet.last().unwrap()));
            }
            packet.extend(bytes);
        }
    }
    let whole = packets.into_iter().map(|(length, packet)| {
        assert_eq!(packet.bytes.len(), length, "{name}");
        packet
    });
    whole.collect()
}

/// The line that begins a packet: `[1] +0.1ms conn 0  client -> server  one packet of 37 bytes`.
fn begins(line: &str) -> Option<(usize, Recorded)> {
    let words: Vec<_> = line.split_whitespace().collect();
    let at = words.iter().position(|word| *word == "conn")?;
    let length = words.strip_suffix(&["bytes"])?.last()?.parse().ok()?;
    let recorded = Recorded {
        connection: words[at + 1].parse().ok()?,
        from_client: words[at + 2] == "client",
        bytes: Vec::new(),
    };
    Some((length, recorded))
}

/// A line of bytes: six digits of offset, then bytes, then what they mean.
fn hex_line(line: &str) -> Option<(usize, Vec<u8>)> {
    let (offset, rest) = line.trim_start().split_once("  ")?;
    if offset.len() != 6 {
        return None;
    }
    let offset = usize::from_str_radix(offset, 16).ok()?;
    let bytes = rest.split("  ").next()?.split(' ');
    let bytes: Result<_, _> = bytes.map(|byte| u8::from_str_radix(byte, 16)).collect();
    Some((offset, bytes.ok()?))
}

/// The letter after this one.
fn after(letter: u8) -> u8 {
    if letter == b'z' { b'a' } else { letter + 1 }
}
