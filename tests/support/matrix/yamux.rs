//! What clients say in yamux sessions.

use std::time::Duration;

use super::{
    Case,
    ask::{
        ACK, DATA, FIN, GO_AWAY, PING, RST, SYN, WINDOW, call, data, flagged, head, open, ping,
        session, set, set_of, stream, text, waits,
    },
};

/// The same cases, under the names that each of the two programs gave them.
fn named(newer: bool, new: &str, old: &str, say: Vec<u8>) -> Case {
    Case::new(if newer { new } else { old }, say)
}

/// Where Consul only closes. The go-away would be lost in a RST, so ours reads on and ends in a FIN.
const BROKEN: &str = "\
s2c GOAWAY flags=- stream=0 len=1\n\
EOF(FIN)";
/// The same behind a reply.
const DUPLICATE: &str = "\
s2c WINUPD flags=ACK stream=1 len=0\n\
s2c DATA flags=- stream=1 len=40 83a54572726f72a0a353657101ad536572766963654d6574686f64ab5374617475732e50696e6780\n\
s2c GOAWAY flags=- stream=0 len=1\n\
EOF(FIN)";
/// The second stream does not wait for the first.
const SILENT: &str = "\
s2c WINUPD flags=ACK stream=1 len=0\n\
s2c WINUPD flags=ACK stream=3 len=0\n\
s2c DATA flags=- stream=3 len=40 83a54572726f72a0a353657101ad536572766963654d6574686f64ab5374617475732e50696e6780\n\
still-open\n\
s2c DATA flags=- stream=1 len=40 83a54572726f72a0a353657101ad536572766963654d6574686f64ab5374617475732e50696e6780\n\
still-open";
/// The empty stream ends alone.
const EMPTY_BESIDE_A_QUERY: &str = "\
s2c WINUPD flags=ACK stream=1 len=0\n\
s2c WINUPD flags=ACK stream=3 len=0\n\
s2c WINUPD flags=FIN stream=3 len=0\n\
still-open";
/// The same beside a stream that was answered.
const EMPTY_BESIDE_A_CALL: &str = "\
s2c WINUPD flags=ACK stream=1 len=0\n\
s2c DATA flags=- stream=1 len=40 83a54572726f72a0a353657101ad536572766963654d6574686f64ab5374617475732e50696e6780\n\
s2c WINUPD flags=ACK stream=3 len=0\n\
s2c WINUPD flags=FIN stream=3 len=0\n\
still-open";
/// Acknowledged like any other.
const HALF_CLOSED: &str = "\
s2c WINUPD flags=ACK stream=1 len=0\n\
s2c DATA flags=- stream=1 len=40 83a54572726f72a0a353657101ad536572766963654d6574686f64ab5374617475732e50696e6780\n\
s2c WINUPD flags=FIN stream=1 len=0\n\
still-open";
/// Data frames of up to 64 KiB.
const NEWER_SIZES: &str = "\
DATA frame sizes [65536, 65536, 65536, 65536] total 262144 still-open\n\
after window update [65536, 65536, 58155] still-open";
/// The same for the other list.
const OLDER_SIZES: &str = "\
DATA frame sizes [65536, 65536, 65536, 65536] total 262144 still-open\n\
after window update [65536, 32690] still-open";

/// What has to be there: three large values below one prefix, which take the space in the replies
/// that they took in the recorded ones.
pub(crate) fn setup(newer: bool) -> Vec<Case> {
    let values: [(&str, usize); 3] = if newer {
        [
            ("list/131", 131_000),
            ("list/200", 200_000),
            ("lzz", 120_000),
        ]
    } else {
        [
            ("list/1", 120_000),
            ("list/2", 120_000),
            ("list/3", 120_000),
        ]
    };
    let one = |(key, size)| Case::new("setup", super::ask::plain([set(key, &vec![7; size])]));
    values.into_iter().map(one).collect()
}

/// All of them; `newer` is 1.13.
#[allow(clippy::too_many_lines, reason = "a table")]
pub(crate) fn cases(newer: bool) -> Vec<Case> {
    let good = || stream(1, &ping(1));
    let of = |new: &str, old: &str, say: Vec<u8>| named(newer, new, old, say);
    let mut cases = vec![
        of(
            "two sequential calls on one stream",
            "two sequential calls reuse one stream",
            session([good()]),
        )
        .then(data(1, &ping(2))),
        of(
            "SYN on the DATA frame",
            "SYN carried on the DATA frame (no separate window update)",
            session([flagged(SYN, 1, &ping(1))]),
        ),
        of(
            "even stream id",
            "even stream id from the client",
            session([stream(2, &ping(1))]),
        ),
        of(
            "descending ids",
            "descending / arbitrary stream ids",
            session([stream(99, &ping(1)), stream(7, &ping(1))]),
        ),
        of("stream id 0", "stream id 0", session([stream(0, &ping(1))])).ours("D3", BROKEN),
        of(
            "duplicate SYN for a live stream, sent after the first reply",
            "duplicate SYN for an open stream",
            session([good()]),
        )
        .then(open(1))
        .ours("D13", DUPLICATE),
        of(
            "wrong version",
            "wrong version byte 1",
            session([vec![1, WINDOW, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0]]),
        )
        .ours("D13", BROKEN),
        of("unknown type 4", "unknown frame type 4", session([head(4, 0, 1, 0)]))
            .ours("D13", BROKEN),
        of(
            "data for unknown stream, then good stream",
            "data for a stream that was never opened (discarded), then a good stream",
            session([data(9, b"nobody's"), good()]),
        ),
        of(
            "WINUPD/FIN/RST unknown stream",
            "window update / FIN / RST for an unknown stream (ignored)",
            session([
                head(WINDOW, 0, 9, 7),
                head(WINDOW, FIN, 11, 0),
                head(WINDOW, RST, 13, 0),
                good(),
            ]),
        ),
        of(
            "ping SYN 0xdeadbeef + unsolicited ACK",
            "ping SYN (value 0xdeadbeef) and unsolicited ping ACK",
            session([head(PING, SYN, 0, 0xdead_beef), head(PING, ACK, 0, 7)]),
        ),
        of(
            "go-away 0 then call",
            "go-away normal (0) from the client, then a call on a new stream",
            session([head(GO_AWAY, 0, 0, 0), good()]),
        ),
        of(
            "stream opened, no data; then a second stream with a ping",
            "stream opened, no data; then a second stream with a ping: head-of-line blocking in accept",
            session([open(1), stream(3, &ping(1))]),
        )
        .then_apart(data(1, &ping(1)))
        .ours("D2", SILENT),
        of(
            "stream opened and RST without data",
            "stream opened and RST without data",
            session([open(1), head(WINDOW, RST, 1, 0)]),
        )
        .ours("D1", "still-open"),
        of(
            "first stream byte 6",
            "stream whose first byte is 6 (gossip): enterprise only",
            session([stream(1, &[6])]),
        ),
        of(
            "FIN right behind the request",
            "FIN right behind the request (half close), reply still delivered",
            session([good(), head(WINDOW, FIN, 1, 0)]),
        )
        .ours("D16", HALF_CLOSED),
        of(
            "second FIN",
            "second FIN on the same stream",
            session([good(), head(WINDOW, FIN, 1, 0), head(WINDOW, FIN, 1, 0)]),
        )
        .ours("D13", BROKEN),
        of(
            "RST 0.3 s into a blocking query, then a call on a new stream",
            "RST in the middle of a blocking query; session goes on",
            session([stream(1, &waits(1, "none", 10))]),
        )
        .listen(Duration::from_millis(300))
        .then([head(WINDOW, RST, 1, 0), stream(3, &ping(1))].concat()),
        of(
            "large response: stop at the window",
            "large response: the server stops at 262144 bytes until a window update comes",
            session([stream(1, &call("KVS.List", [("Datacenter", text("dc1")), ("Key", text("l"))]))]),
        )
        .then_apart(head(WINDOW, 0, 1, 1 << 20))
        .ours("D19", if newer { NEWER_SIZES } else { OLDER_SIZES }),
    ];
    let codes = [1, 2, 9];
    cases.extend(codes.map(|code| {
        let names = (format!("go-away {code}"), format!("go-away code {code}"));
        of(&names.0, &names.1, session([head(GO_AWAY, 0, 0, code)]))
    }));
    cases.extend(if newer { only_newer() } else { only_older() });
    cases
}

fn only_newer() -> Vec<Case> {
    vec![
        Case::new(
            "stream 1 in use, stream 3 opened and FIN without data",
            session([stream(1, &waits(1, "none", 10))]),
        )
        .then([open(3), head(WINDOW, FIN, 3, 0)].concat())
        .ours("D1", EMPTY_BESIDE_A_QUERY),
        Case::new(
            "SYN+FIN data in one frame",
            session([flagged(SYN | FIN, 1, &ping(1))]),
        )
        .ours("D16", HALF_CLOSED),
        Case::new(
            "request and RST in one write (RST before the server has read the stream)",
            session([stream(1, &ping(1)), head(WINDOW, RST, 1, 0)]),
        )
        .ours("D17", "still-open"),
        Case::new(
            "request with a 131000 byte value in one DATA frame",
            session([stream(1, &set_of(131_078, 131_000))]),
        ),
        Case::new(
            "request with a 200000 byte value in one DATA frame",
            session([stream(1, &set_of(200_078, 200_000))]),
        ),
        Case::new(
            "300000 bytes in one DATA frame (window exceeded)",
            session([open(1), head(DATA, 0, 1, 300_000), vec![7; 300_000]]),
        )
        .ours("D13", BROKEN),
    ]
}

fn only_older() -> Vec<Case> {
    vec![
        Case::new(
            "stream opened and closed with FIN without data, while another stream is in use",
            session([stream(1, &ping(1))]),
        )
        .then(open(3))
        .then(head(WINDOW, FIN, 3, 0))
        .ours("D1", EMPTY_BESIDE_A_CALL),
        Case::new(
            "server windows: send a 200000 byte request on one stream, watch window updates",
            session([stream(1, &set_of(200_142, 200_000))]),
        ),
        Case::new(
            "exceed the 262144 window in one DATA frame (300000 bytes)",
            session([stream(1, &set_of(300_142, 300_000))]),
        )
        .ours("D13", BROKEN),
    ]
}
