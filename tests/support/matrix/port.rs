//! What clients say to the port itself.

use std::time::Duration;

use super::{
    Case,
    ask::{FIN, WINDOW, head, ping, plain, session, stream},
};

const CLOSED: &str = "EOF after 0ms, received 0 bytes:";
const RESET: &str = "ERR read: connection reset by peer after 0ms, received 0 bytes:";
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
/// An empty SETTINGS frame.
const SETTINGS: [u8; 9] = [0, 0, 0, 4, 0, 0, 0, 0, 0];

/// A byte with something behind.
fn before(byte: u8, rest: &[u8]) -> Vec<u8> {
    [&[byte], rest].concat()
}

/// Each byte alone, and some with something behind.
pub(crate) fn first_bytes() -> Vec<Case> {
    let alone = |byte: u8| {
        let case = Case::new(&format!("0x{byte:02x}"), vec![byte]);
        match byte {
            1 | 3 | 5 | 7 | 8 => case.ours("D10", CLOSED),
            _ => case,
        }
    };
    let http = [PREFACE, &SETTINGS].concat();
    let mut cases: Vec<Case> = (0..=u8::MAX).map(alone).collect();
    cases.extend([
        Case::new("00 + ping", plain([ping(1)])),
        Case::new("04 + yamux ping call", session([stream(1, &ping(1))])),
        Case::new("08 + HTTP/2 preface + empty SETTINGS", before(8, &http)).ours("D10", RESET),
        Case::new("08 + garbage", before(8, &[0xff; 64])).ours("D10", RESET),
        Case::new("09 + HTTP/2 preface", before(9, PREFACE)),
        Case::new("06 + ping", before(6, &ping(1))),
        Case::new("02 + ping", before(2, &ping(1))),
    ]);
    cases
}

/// A byte or none, and silence.
pub(crate) fn silence() -> Vec<Case> {
    let ten = "EOF after 10000ms, received 0 bytes:";
    let cases = [
        Case::new("0x16 then silence", vec![0x16]),
        Case::new("byte 0 then silence", vec![0]).ours("D6", ten),
        Case::new("byte 1 then silence", vec![1]).ours("D10", CLOSED),
        Case::new("byte 3 (TLS) then silence", vec![3]).ours("D10", CLOSED),
        Case::new("byte 4 then silence", vec![4]).ours("D6", ten),
        Case::new("byte 5 then silence", vec![5]).ours("D10", CLOSED),
        Case::new("byte 7 (insecure TLS) then silence", vec![7]).ours("D10", CLOSED),
        Case::new("byte 8 then silence", vec![8]).ours("D10", CLOSED),
        Case::new("nothing sent", Vec::new()),
    ];
    let long = |case: Case| case.listen(Duration::from_secs(15));
    cases.into_iter().map(long).collect()
}

/// A session that is alive, and answers no ping. It has to say something, or it is closed as one
/// that never spoke (D6): a FIN for a stream that is not there, which has no answer.
pub(crate) fn keepalive() -> Vec<Case> {
    let idle = session([head(WINDOW, FIN, 9, 0)]);
    let name = "idle yamux session whose pings are not answered";
    vec![Case::new(name, idle).listen(Duration::from_secs(60))]
}
