//! Bare sockets: a server that counts bytes and gives as many back, and its client. What it costs is
//! what no server of these calls can go below, as long as it reads and writes sockets as tokio does.

use std::{net::SocketAddr, time::Duration};

use tokio::{
    net::{TcpListener, TcpStream},
    runtime::Builder,
    task::JoinSet,
    time::Instant,
};

use crate::{
    Failure, bare,
    load::{Measured, Usage},
    peers::{Running, Server},
    rows::{Bytes, Reuse, Shape},
};

pub(crate) async fn serve(request: usize, answer: usize) -> Result<(), Failure> {
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    println!("ready {}", listener.local_addr()?);
    loop {
        let (socket, _) = listener.accept().await?;
        socket.set_nodelay(true)?;
        // The process ends by being killed: nothing is left to drain.
        tokio::spawn(async move {
            let answer = vec![0; answer];
            // A client that goes away in the middle is done, not wrong.
            let _ = bare::answer(socket, request, &answer).await;
        });
    }
}

/// Moves a shape's bytes for some time.
pub(crate) fn measure(shape: &Shape, bytes: Bytes, time: Duration) -> Result<Measured, Failure> {
    let server = Server::Bare {
        request: bytes.request,
        answer: bytes.answer,
    };
    let server = server.start()?;
    let runtime = Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(drive(&server, shape, bytes, time / 5))?;
    let before = Usage::of(server.pid())?;
    let began = Instant::now();
    let mut times = runtime.block_on(drive(&server, shape, bytes, time))?;
    let took = began.elapsed();
    let used = Usage::of(server.pid())?.since(before);
    times.sort_unstable();
    let calls = f64::from(shape.per_turn()) * f64::from(u32::try_from(times.len())?);
    Ok(Measured {
        rate: calls / took.as_secs_f64(),
        cpu: Some(used.as_secs_f64() * 1e6 / calls),
        p50: micros(&times, 50),
        p99: micros(&times, 99),
    })
}

fn micros(sorted: &[Duration], percent: usize) -> f64 {
    let at = (sorted.len() * percent / 100).min(sorted.len().saturating_sub(1));
    sorted
        .get(at)
        .map_or(f64::NAN, |time| time.as_secs_f64() * 1e6)
}

/// How long each turn of each connection took.
async fn drive(
    server: &Running,
    shape: &Shape,
    bytes: Bytes,
    time: Duration,
) -> Result<Vec<Duration>, Failure> {
    let until = Instant::now() + time;
    let mut clients = JoinSet::new();
    for _ in 0..shape.connections {
        clients.spawn(client(server.addr, shape.reuse, bytes, until));
    }
    let mut times = Vec::new();
    while let Some(client) = clients.join_next().await {
        times.extend(client??);
    }
    Ok(times)
}

async fn client(
    addr: SocketAddr,
    reuse: Reuse,
    bytes: Bytes,
    until: Instant,
) -> Result<Vec<Duration>, std::io::Error> {
    let request = vec![0; bytes.request];
    let mut answer = vec![0; bytes.answer];
    let mut times = Vec::new();
    let mut kept = None;
    let mut began = Instant::now();
    while began < until {
        let mut socket = match kept.take() {
            Some(socket) => socket,
            None => connect(addr).await?,
        };
        bare::ask(&mut socket, &request, &mut answer).await?;
        if reuse != Reuse::Never {
            kept = Some(socket);
        }
        let now = Instant::now();
        times.push(now - began);
        began = now;
    }
    Ok(times)
}

async fn connect(addr: SocketAddr) -> std::io::Result<TcpStream> {
    let socket = TcpStream::connect(addr).await?;
    socket.set_nodelay(true)?;
    Ok(socket)
}
