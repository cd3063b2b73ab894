//! Much data over one yamux stream, and over a bare socket, between two processes.

use std::time::Duration;

use oneport::{
    ListenConfig, Listener,
    client::Mux,
    proto::BoxError,
    services::{
        Conn, Drainer,
        yamux::{Config, Yamux},
    },
};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    runtime::Builder,
    time::Instant,
};
use tower::service_fn;

use crate::{
    Failure,
    burden::{self, Direction, LOAD},
    ends,
    load::Usage,
    peers::Server,
};

/// What one measurement came to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Moved {
    /// Megabytes (of 10^6 bytes) a second.
    pub(crate) rate: f64,
    /// Microseconds of the server's CPU for a megabyte.
    pub(crate) cpu: f64,
}

pub(crate) async fn serve(yamux: bool, direction: Direction) -> Result<(), Failure> {
    if yamux {
        return carry(direction).await;
    }
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("ready {}", listener.local_addr()?);
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        // The process ends by being killed: nothing is left to drain.
        tokio::spawn(async move {
            // A client that goes away in the middle is done, not wrong.
            let _ = burden::serve(direction, socket).await;
        });
    }
}

/// Every stream of every session carries loads.
async fn carry(direction: Direction) -> Result<(), Failure> {
    let streams = service_fn(move |conn: Conn| async move {
        Ok::<_, BoxError>(burden::serve(direction, conn).await?)
    });
    let any = "127.0.0.1:0".parse()?;
    let listener = Listener::bind(any, ListenConfig::default()).await?;
    println!("ready {}", listener.local_addr());
    let drainer = Drainer::new();
    listener.serve(Yamux::new(streams), drainer.handle()).await;
    Ok(())
}

pub(crate) fn measure(yamux: bool, direction: Direction, time: Duration) -> Result<Moved, Failure> {
    let server = Server::Bulk { yamux, direction }.start()?;
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let socket = TcpStream::connect(server.addr).await?;
        socket.set_nodelay(true)?;
        if yamux {
            let mux = Mux::new(ends::tcp(socket), Config::default());
            let stream = mux.open().await?;
            drive(server.pid(), direction, stream, time).await
        } else {
            drive(server.pid(), direction, socket, time).await
        }
    })
}

async fn drive<T>(
    pid: u32,
    direction: Direction,
    mut io: T,
    time: Duration,
) -> Result<Moved, Failure>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    loads(direction, &mut io, time / 5).await?;
    let before = Usage::of(pid)?;
    let began = Instant::now();
    let loads = loads(direction, &mut io, time).await?;
    let took = began.elapsed();
    let used = Usage::of(pid)?.since(before);
    let megabytes = f64::from(loads) * f64::from(u32::try_from(LOAD)?) / 1e6;
    Ok(Moved {
        rate: megabytes / took.as_secs_f64(),
        cpu: used.as_secs_f64() * 1e6 / megabytes,
    })
}

async fn loads<T>(direction: Direction, io: &mut T, time: Duration) -> Result<u32, Failure>
where
    T: AsyncRead + AsyncWrite + Unpin,
{
    let until = Instant::now() + time;
    let mut loads = 0;
    while Instant::now() < until {
        burden::load(direction, io).await?;
        loads += 1;
    }
    Ok(loads)
}
