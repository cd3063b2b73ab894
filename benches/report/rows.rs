//! The rows of the report: what is done, and what share of Consul's figure is the goal.

use crate::calls::{Call, Exchange};

/// How long a connection or a stream is used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reuse {
    /// For all calls.
    Always,
    /// Every call has a stream of its own.
    Streams,
    /// Every call has a connection of its own.
    Never,
}

/// How much is under way at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Shape {
    pub(crate) connections: u32,
    /// Streams of each connection; 0 is a plain one.
    pub(crate) streams: u32,
    /// Calls on each connection or stream that were not answered yet.
    pub(crate) in_flight: u32,
    pub(crate) reuse: Reuse,
}

/// A row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    pub(crate) name: &'static str,
    pub(crate) call: Call,
    pub(crate) shape: Shape,
    /// The most that our server's CPU per call may be of Consul's.
    pub(crate) goal: f64,
    /// How many times Consul's calls a second there should be.
    pub(crate) faster: Option<f64>,
    /// Whether the README shows it.
    pub(crate) in_readme: bool,
}

const fn plain(connections: u32, in_flight: u32) -> Shape {
    Shape {
        connections,
        streams: 0,
        in_flight,
        reuse: Reuse::Always,
    }
}

const fn yamux(connections: u32, streams: u32) -> Shape {
    Shape {
        connections,
        streams,
        in_flight: 1,
        reuse: Reuse::Always,
    }
}

const fn row(name: &'static str, call: Call, shape: Shape, goal: f64) -> Row {
    Row {
        name,
        call,
        shape,
        goal,
        faster: None,
        in_readme: false,
    }
}

const fn shown(name: &'static str, call: Call, shape: Shape, goal: f64) -> Row {
    Row {
        in_readme: true,
        ..row(name, call, shape, goal)
    }
}

const STREAM_PER_CALL: Shape = Shape {
    reuse: Reuse::Streams,
    ..yamux(1, 16)
};

const CONNECTION_PER_CALL: Shape = Shape {
    reuse: Reuse::Never,
    ..plain(16, 1)
};

/// All rows of calls.
pub(crate) const ROWS: [Row; 11] = [
    shown(
        "Status.Ping, plain, 16 connections",
        Call::Ping,
        plain(16, 1),
        0.58,
    ),
    shown(
        "KVS.Get 128 B, plain, 16 connections",
        Call::Get,
        plain(16, 1),
        0.44,
    ),
    row(
        "KVS.Get 16 KiB, plain, 16 connections",
        Call::GetLarge,
        plain(16, 1),
        0.33,
    ),
    row(
        "Status.Ping, plain, 4 connections, 32 pipelined",
        Call::Ping,
        plain(4, 32),
        0.12,
    ),
    row(
        "Status.Ping, yamux, 1 session, 1 stream",
        Call::Ping,
        yamux(1, 1),
        0.32,
    ),
    shown(
        "Status.Ping, yamux, 1 session, 16 streams",
        Call::Ping,
        yamux(1, 16),
        0.07,
    ),
    row(
        "Status.Ping, yamux, 64 sessions, 4 streams",
        Call::Ping,
        yamux(64, 4),
        0.12,
    ),
    Row {
        faster: Some(10.0),
        ..shown(
            "KVS.Get 128 B, yamux, 2 sessions, 16 streams",
            Call::Get,
            yamux(2, 16),
            0.08,
        )
    },
    row(
        "Status.Ping, yamux, a new stream per call",
        Call::Ping,
        STREAM_PER_CALL,
        0.05,
    ),
    shown(
        "KVS.List of 100, plain, 16 connections",
        Call::List,
        plain(16, 1),
        0.15,
    ),
    row(
        "Status.Ping, connect, one call, close",
        Call::Ping,
        CONNECTION_PER_CALL,
        0.86,
    ),
];

/// Bytes of one turn on one connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Bytes {
    pub(crate) request: usize,
    pub(crate) answer: usize,
}

impl Shape {
    /// Calls of one turn on one connection.
    pub(crate) fn per_turn(&self) -> u32 {
        self.streams.max(1) * self.in_flight
    }

    /// What a turn of such calls has on the wire, frame headers included.
    pub(crate) fn bytes(&self, exchange: &Exchange) -> Bytes {
        const HEADER: usize = 12;
        let calls = self.per_turn() as usize;
        let (out, back) = match self.reuse {
            Reuse::Always if self.streams == 0 => (0, 0),
            Reuse::Always => (HEADER, HEADER),
            // Opened, used and closed from here; accepted, used and closed from there.
            Reuse::Streams => (3 * HEADER, 3 * HEADER),
            // The type byte.
            Reuse::Never => (1, 0),
        };
        Bytes {
            request: calls * (exchange.request.len() + out),
            answer: calls * (exchange.answer.len() + back),
        }
    }
}

impl Row {
    /// The flags by which `oneport bench` does this.
    pub(crate) fn flags(&self) -> Vec<String> {
        let Shape {
            connections,
            streams,
            in_flight,
            reuse,
        } = self.shape;
        let mut flags = format!("--connections {connections}");
        if streams > 0 {
            flags += &format!(" --transport yamux --streams {streams}");
        } else {
            flags += " --transport single";
        }
        if in_flight > 1 {
            flags += &format!(" --in-flight {in_flight}");
        }
        flags += match reuse {
            Reuse::Always => "",
            Reuse::Streams => " --stream-per-call",
            Reuse::Never => " --connect-per-call",
        };
        flags += &format!(" --method {}", self.call.method());
        if self.call == Call::GetLarge {
            flags += " --value-size 16384";
        }
        flags.split(' ').map(str::to_owned).collect()
    }
}
