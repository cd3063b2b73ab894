//! What connections and streams cost a server while nothing happens on them.

use std::{io, time::Duration};

use oneport::{
    client::Mux,
    services::{Drainer, netrpc::Pipeline, yamux},
};
use tokio::time::{sleep, timeout};

use super::{method::Method, process::Process, report::Idle, run::Run};
use crate::cli::{
    exit::{Exit, Failure},
    remote::{Transport, open},
};

/// Memory is at rest when it was the same so often in a row, so far apart; it is waited for so
/// often at most.
const SAME: u32 = 5;
const APART: Duration = Duration::from_millis(100);
const LOOKS: u32 = 50;

/// The body of a request without fields: msgpack's empty map.
const EMPTY: &[u8] = b"\x80";

/// Connections that have carried a call and are kept.
#[derive(Default)]
struct Held {
    plain: Vec<Pipeline>,
    sessions: Vec<Mux>,
}

/// Opens connections, then streams on them, and looks at the server's memory in between. Each
/// carries one call first, so that nothing about it is still under way.
pub(super) async fn measure(run: &Run<'_>, process: &Process, count: u32) -> Result<Idle, Failure> {
    let drainer = Drainer::new();
    // The first connection makes the server make what it makes once.
    connect(run, &drainer, &mut Held::default()).await?;
    let before = at_rest(process).await?;
    let mut held = Held::default();
    for number in 0..count {
        let connected = connect(run, &drainer, &mut held).await;
        connected.map_err(|error| no_more("connection", number, count, &error))?;
    }
    let connected = at_rest(process).await?;
    let streams = streams(run, &held.sessions).await?;
    let streaming = at_rest(process).await?;
    let grown = |from: u64, to: u64| to as f64 - from as f64;
    let opened = streams.len();
    Ok(Idle {
        connections: count.into(),
        streams: opened as u64,
        resident_before: before,
        resident_connected: connected,
        resident_streaming: streaming,
        bytes_per_connection: grown(before, connected) / f64::from(count),
        bytes_per_stream: (opened > 0).then(|| grown(connected, streaming) / opened as f64),
    })
}

async fn connect(run: &Run<'_>, drainer: &Drainer, held: &mut Held) -> Result<(), Failure> {
    let conn = run.load.way.dial(run.addr, drainer.handle()).await?;
    match run.load.way.transport {
        Transport::Single => held.plain.push(ping(run, Pipeline::new(conn, 1)).await?),
        Transport::Yamux => {
            let mux = Mux::new(conn, yamux::Config::default());
            let mut stream = stream(run, &mux).await?;
            // What is measured is a session without streams.
            let closed = stream.shutdown().await;
            closed.map_err(|error| Failure::caused(Exit::Unreachable, &error))?;
            held.sessions.push(mux);
        }
    }
    Ok(())
}

/// Opens as many streams on each session as the load has.
async fn streams(run: &Run<'_>, sessions: &[Mux]) -> Result<Vec<Pipeline>, Failure> {
    let most = run.load.streams();
    let mut streams = Vec::new();
    for session in sessions {
        for number in 0..most {
            let opened = stream(run, session).await;
            streams.push(opened.map_err(|error| no_more("stream", number, most, &error))?);
        }
    }
    Ok(streams)
}

async fn stream(run: &Run<'_>, mux: &Mux) -> Result<Pipeline, Failure> {
    let conn = open(run.addr, mux).await?;
    ping(run, Pipeline::new(conn, 1)).await
}

async fn ping(run: &Run<'_>, mut pipeline: Pipeline) -> Result<Pipeline, Failure> {
    let exchange = async {
        pipeline.send(Method::Ping.name().as_bytes(), EMPTY)?;
        pipeline.receive().await
    };
    match timeout(run.load.way.timeout, exchange).await {
        Ok(Ok(_answer)) => Ok(pipeline),
        Ok(Err(error)) => Err(Failure::new(
            Exit::Unreachable,
            format!("{}: {error}", run.addr),
        )),
        Err(_elapsed) => Err(Failure::new(
            Exit::Late,
            format!("no answer from {} in time", run.addr),
        )),
    }
}

fn no_more<N: std::fmt::Display>(what: &str, number: N, count: N, error: &Failure) -> Failure {
    Failure::new(
        error.exit(),
        format!(
            "idle {what} {number} of {count}: {}; the server may limit them",
            error.message()
        ),
    )
}

/// The server's memory, once it has stopped to change.
async fn at_rest(process: &Process) -> Result<u64, Failure> {
    let lost = |error: io::Error| {
        let message = format!("--server-pid: the process cannot be looked at any more: {error}");
        Failure::new(Exit::Unreachable, message)
    };
    let mut last = process.resident().map_err(lost)?;
    let mut same = 0;
    for _ in 0..LOOKS {
        sleep(APART).await;
        let now = process.resident().map_err(lost)?;
        same = if now == last { same + 1 } else { 0 };
        last = now;
        if same == SAME {
            break;
        }
    }
    Ok(last)
}
