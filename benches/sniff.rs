//! From a connection to the first call of its protocol: a listener, sniffing and the port's table,
//! beside the same listener that knows the protocol beforehand, and beside a bare tokio accept that
//! reads one byte.
//!
//! An iteration is a connection's life on loopback: it is opened, says one byte, its protocol is
//! called, and it is reset, which leaves no socket behind that waits. Most of it is the kernel's;
//! what sniffing adds is counted in instructions by `cargo bench --bench report`.
//!
//! `cargo bench --bench sniff`

#![allow(missing_docs, reason = "criterion's macros make public functions")]
#![allow(clippy::unwrap_used, reason = "what fails here fails the bench")]

#[path = "support/stage.rs"]
mod stage;

use std::{net::SocketAddr, time::Duration};

use criterion::{
    BenchmarkGroup, Criterion, criterion_group, criterion_main, measurement::WallTime,
};
use oneport::{
    Port, Sniff,
    proto::BoxError,
    services::{Conn, Protocol},
};
use stage::Stage;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    time::Instant,
};
use tower::service_fn;

/// The row that is asked for: the last of a table as long as Consul's.
const TAG: u8 = 8;

fn accept(c: &mut Criterion) {
    let mut group = c.benchmark_group("accept to first call");
    let (told, mut calls) = unbounded_channel();
    let stage = Stage::new();
    let addr = stage.listen(Sniff::new(port(protocol(told))));
    lives(&mut group, "oneport, sniffed", &stage, addr, &mut calls);

    let (told, mut calls) = unbounded_channel();
    let stage = Stage::new();
    let addr = stage.listen(protocol(told));
    lives(&mut group, "oneport, known", &stage, addr, &mut calls);

    let (told, mut calls) = unbounded_channel();
    let stage = Stage::new();
    let listener = stage.run(TcpListener::bind("127.0.0.1:0")).unwrap();
    let addr = listener.local_addr().unwrap();
    stage.spawn(bare(listener, told));
    lives(&mut group, "bare", &stage, addr, &mut calls);
}

/// A protocol that tells when it is called, and looks at the byte that it is for.
fn protocol(told: UnboundedSender<()>) -> impl Protocol {
    service_fn(move |mut conn: Conn| {
        let told = told.clone();
        async move {
            conn.chunk().await?;
            Ok::<_, BoxError>(told.send(())?)
        }
    })
}

/// A table with a row for each byte that Consul knows.
fn port(protocol: impl Protocol) -> Port {
    let rows = (0..TAG).fold(Port::builder(), |rows, byte| {
        rows.unserved(byte, "unserved")
    });
    rows.first(TAG, "called", protocol).build().unwrap()
}

async fn bare(listener: TcpListener, told: UnboundedSender<()>) -> Result<(), BoxError> {
    loop {
        let (mut socket, _) = listener.accept().await?;
        let told = told.clone();
        tokio::spawn(async move {
            socket.read_u8().await.unwrap();
            told.send(()).unwrap();
        });
    }
}

/// So many connections, one after the other.
fn lives(
    group: &mut BenchmarkGroup<'_, WallTime>,
    name: &str,
    stage: &Stage,
    addr: SocketAddr,
    calls: &mut UnboundedReceiver<()>,
) {
    group.bench_function(name, |b| {
        b.iter_custom(|lives| {
            stage.run(async {
                let began = Instant::now();
                for _ in 0..lives {
                    let mut socket = TcpStream::connect(addr).await.unwrap();
                    socket.write_all(&[TAG]).await.unwrap();
                    calls.recv().await.unwrap();
                    socket.set_zero_linger().unwrap();
                }
                began.elapsed()
            })
        });
    });
}

fn config() -> Criterion {
    Criterion::default().measurement_time(Duration::from_secs(3))
}

criterion_group!(name = benches; config = config(); targets = accept);
criterion_main!(benches);
