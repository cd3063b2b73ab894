//! Two agents: one behind pipes with a clock that is moved, one behind its own port.

use std::{
    io::{ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use oneport::{
    ListenConfig, Sniff,
    proto::Session,
    services::{Conn, Drainer},
};
use oneport_agent::{Agent, Config};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, duplex},
    runtime::{Builder, Runtime},
    sync::oneshot,
    task::JoinSet,
    time::{Instant, timeout_at},
};
use tower::{Service, ServiceExt};

use super::{Turn, answer::End};

/// No connection of these tests takes longer, on whatever machine.
const AT_MOST: Duration = Duration::from_secs(60);

/// What came back.
#[derive(Clone, Debug)]
pub(crate) struct Played {
    /// For each turn, what came and when; shorter if the connection ended.
    pub(crate) turns: Vec<Vec<(Duration, Vec<u8>)>>,
    /// How it ended, and when. Behind a pipe every end looks like a FIN.
    pub(crate) end: End,
    pub(crate) after: Duration,
}

impl Played {
    /// What came in one turn.
    pub(crate) fn turn(&self, n: usize) -> Vec<u8> {
        let chunks = self.turns.get(n).map_or(&[][..], Vec::as_slice);
        chunks.iter().flat_map(|(_, bytes)| bytes.clone()).collect()
    }

    /// All that came.
    pub(crate) fn all(&self) -> Vec<u8> {
        (0..self.turns.len()).flat_map(|n| self.turn(n)).collect()
    }
}

fn config() -> Config {
    Config {
        server_port: 0,
        listen: ListenConfig {
            conns_per_second: 0,
            ..ListenConfig::default()
        },
        ..Config::default()
    }
}

/// An agent whose connections are pipes, and whose time passes when nothing else happens.
pub(crate) struct Piped {
    runtime: Runtime,
    agent: Agent,
    drainer: Drainer,
}

impl Piped {
    pub(crate) fn start() -> Piped {
        let mut builder = Builder::new_current_thread();
        let runtime = builder.enable_all().start_paused(true).build();
        let runtime = runtime.expect("a runtime");
        let agent = runtime.block_on(Agent::bind(config()));
        Piped {
            runtime,
            agent: agent.expect("an agent"),
            drainer: Drainer::new(),
        }
    }

    /// The address that it calls its own.
    pub(crate) fn addr(&self) -> SocketAddr {
        self.agent.local_addr()
    }

    pub(crate) fn play(&self, turns: &[Turn]) -> Played {
        self.runtime.block_on(self.playing(turns))
    }

    async fn playing(&self, turns: &[Turn]) -> Played {
        let (near, mut far) = duplex(1 << 20);
        let conn = Conn::stream(Session::in_process(), self.drainer.handle(), near);
        let mut sniff =
            Sniff::new(self.agent.port().clone()).within(self.agent.config().first_byte);
        let mut serving = JoinSet::new();
        serving.spawn(async move { sniff.ready().await?.call(conn).await });
        let began = Instant::now();
        let mut played = Played {
            turns: Vec::new(),
            end: End::Open,
            after: Duration::ZERO,
        };
        for turn in turns {
            let until = Instant::now() + turn.listen;
            // Who was closed on meanwhile hears of it when it reads.
            _ = far.write_all(&turn.say).await;
            let mut chunks = Vec::new();
            loop {
                let mut chunk = vec![0; 1 << 16];
                match timeout_at(until, far.read(&mut chunk)).await {
                    Ok(Ok(size)) if size > 0 => {
                        chunk.truncate(size);
                        chunks.push((began.elapsed(), chunk));
                    }
                    Ok(_) => {
                        played.end = End::Fin;
                        break;
                    }
                    Err(_) => break,
                }
            }
            played.turns.push(chunks);
            if played.end != End::Open {
                break;
            }
        }
        played.after = began.elapsed();
        played
    }
}

/// An agent at its own port.
pub(crate) struct Ported {
    runtime: Runtime,
    agent: Option<Agent>,
    addr: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
}

impl Ported {
    /// Bound: whoever connects waits until it [serves](Ported::serve).
    pub(crate) fn bind() -> Ported {
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.enable_all().worker_threads(1).build();
        let runtime = runtime.expect("a runtime");
        let agent = runtime.block_on(Agent::bind(config())).expect("an agent");
        Ported {
            addr: agent.local_addr(),
            agent: Some(agent),
            runtime,
            stop: None,
        }
    }

    pub(crate) fn serve(&mut self) {
        let (stop, stopped) = oneshot::channel();
        let agent = self.agent.take().expect("it serves once");
        self.runtime.spawn(agent.run(async { _ = stopped.await }));
        self.stop = Some(stop);
    }

    pub(crate) fn connect(&self) -> TcpStream {
        let conn = TcpStream::connect(self.addr).expect("a connection");
        conn.set_read_timeout(Some(AT_MOST)).expect("a socket");
        conn.set_write_timeout(Some(AT_MOST)).expect("a socket");
        conn
    }

    /// Plays what has been played through a pipe, where it ended, to see how it ends here.
    pub(crate) fn play(&self, turns: &[Turn], piped: &Played) -> Played {
        let mut conn = self.connect();
        let mut played = Played {
            turns: Vec::new(),
            end: End::Open,
            after: piped.after,
        };
        for (n, turn) in turns.iter().enumerate().take(piped.turns.len()) {
            if conn.write_all(&turn.say).is_err() {
                played.end = End::Rst;
            }
            let mut bytes = vec![0; piped.turn(n).len()];
            if n + 1 < piped.turns.len() {
                conn.read_exact(&mut bytes).expect("what a pipe carried");
            } else {
                bytes.clear();
                let end = end(&mut conn, &mut bytes);
                if played.end == End::Open {
                    played.end = end;
                }
            }
            played.turns.push(vec![(Duration::ZERO, bytes)]);
        }
        played
    }
}

/// Reads to the end, and says which it is.
pub(crate) fn end(conn: &mut TcpStream, bytes: &mut Vec<u8>) -> End {
    match conn.read_to_end(bytes) {
        Ok(_) => End::Fin,
        Err(error) if error.kind() == ErrorKind::ConnectionReset => End::Rst,
        Err(error) => panic!("no end of a connection: {error}"),
    }
}
