//! A whole session, server or client, fed with arbitrary bytes in arbitrary pieces: it never
//! panics, and it ends when the peer hangs up.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oneport_proto::{BoxError, Session};
use oneport_services::{
    Conn, Drainer,
    yamux::{Config, Yamux, client},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tower::{Service, service_fn};

async fn echo(mut conn: Conn) -> Result<(), BoxError> {
    loop {
        let chunk = conn.chunk().await?;
        if chunk.is_empty() {
            return Ok(());
        }
        conn.put(&mut |out| out.extend_from_slice(&chunk));
        conn.flush().await?;
    }
}

async fn run(as_client: bool, pieces: Vec<Vec<u8>>) {
    let drainer = Drainer::new();
    let (near, far) = duplex(64 * 1024);
    let conn = Conn::stream(Session::in_process(), drainer.handle(), near);
    let (mut answers, mut wire) = tokio::io::split(far);
    let listen = tokio::spawn(async move {
        let mut heard = Vec::new();
        // The session closes its end whatever happens.
        let _end = answers.read_to_end(&mut heard).await;
    });
    let session = if as_client {
        let (opener, driver) = client(conn, Config::default());
        let streams = tokio::spawn(async move {
            while let Ok(stream) = opener.open().await {
                let _end = echo(stream).await;
            }
        });
        let driver = tokio::spawn(driver);
        tokio::spawn(async move {
            let _why = driver.await.expect("no panic");
            streams.await.expect("no panic");
        })
    } else {
        let served = Yamux::new(service_fn(echo)).call(conn);
        tokio::spawn(async move {
            let _why = served.await;
        })
    };
    for piece in pieces {
        if wire.write_all(&piece).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    let _gone = wire.shutdown().await;
    session.await.expect("no panic");
    listen.await.expect("no panic");
}

fuzz_target!(|input: (bool, Vec<Vec<u8>>)| {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime");
    runtime.block_on(run(input.0, input.1));
});
