//! What servers cost that have nothing to do, and how soon they are there.

use crate::{
    Failure,
    load::{self, IDLE_PLAIN, IDLE_STREAMS, IDLE_YAMUX},
    peers::{Programs, Running, Server},
    runs::Side,
};

/// One look at one server. Bytes, and milliseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Still {
    /// From the start of the process to the first answer.
    pub(crate) ready: f64,
    /// Resident memory then.
    pub(crate) empty: f64,
    pub(crate) connection: f64,
    pub(crate) session: f64,
    /// Of each of fifty streams.
    pub(crate) stream: f64,
}

/// Looks at a server of this kind; nothing where there is none.
pub(crate) fn look(programs: &Programs, side: Side) -> Result<Option<Still>, Failure> {
    // As anybody starts it: empty, and with the layers and limits that it has.
    let fresh = || match side {
        Side::Oneport => programs.agent().map(Some),
        Side::Consul => programs.consul(),
        Side::Go => programs.go(),
        Side::Layered | Side::Bare => Ok(None),
    };
    // Memory that was in use before is not asked for again, so each look has a server of its own.
    let crowded = || match side {
        Side::Oneport => Server::Layered.start().map(Some),
        _ => fresh(),
    };
    let Some(empty) = fresh()? else {
        return Ok(None);
    };
    let ready = empty.ready()?.as_secs_f64() * 1e3;
    let resident = load::resident(empty.pid())?;
    drop(empty);
    let idle = |server: Option<Running>, flags| {
        let server = server.ok_or("a server was there a moment ago")?;
        server.ready()?;
        load::idle(&programs.oneport, &server, flags)
    };
    let plain = idle(crowded()?, IDLE_PLAIN)?;
    let yamux = idle(crowded()?, IDLE_YAMUX)?;
    let streams = idle(crowded()?, IDLE_STREAMS)?;
    Ok(Some(Still {
        ready,
        empty: resident,
        connection: plain.bytes_per_connection,
        session: yamux.bytes_per_connection,
        stream: streams.bytes_per_stream.ok_or("no stream was looked at")?,
    }))
}

/// A row of the page.
pub(crate) struct Goal {
    pub(crate) name: &'static str,
    pub(crate) pick: fn(&Still) -> f64,
    pub(crate) unit: &'static str,
    pub(crate) most: f64,
}

const KB: f64 = 1000.0;

pub(crate) const GOALS: [Goal; 5] = [
    goal(
        "idle plain connection",
        |still| still.connection / KB,
        "KB",
        11.0,
    ),
    goal("idle yamux session", |still| still.session / KB, "KB", 9.0),
    goal(
        "50 idle streams on it",
        |still| 50.0 * still.stream / KB,
        "KB",
        60.0,
    ),
    goal("empty server", |still| still.empty / KB / KB, "MB", 12.0),
    goal("ready after start", |still| still.ready, "ms", 50.0),
];

const fn goal(name: &'static str, pick: fn(&Still) -> f64, unit: &'static str, most: f64) -> Goal {
    Goal {
        name,
        pick,
        unit,
        most,
    }
}
