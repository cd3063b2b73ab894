//! A whole server: a stranger's byte beside another protocol on one port, until Ctrl-C.
//!
//! `cargo run --example stranger`, then `printf '\x7fyou' | nc 127.0.0.1 8300` greets and
//! `echo anything | nc 127.0.0.1 8300` echoes.

use oneport::services::{Conn, Drainer};
use oneport::{ListenConfig, Listener, Port, Sniff, proto::BoxError};
use tokio::io::AsyncWriteExt;
use tower::service_fn;

async fn greet(mut conn: Conn) -> Result<(), BoxError> {
    let name = conn.chunk().await?;
    conn.write_all(&[b"hello, ", &name[..], b"\n"].concat())
        .await?;
    Ok(conn.shutdown().await?)
}

async fn echo(conn: Conn) -> Result<(), BoxError> {
    let (mut from, mut to) = tokio::io::split(conn);
    tokio::io::copy(&mut from, &mut to).await?;
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let listener = Listener::bind("127.0.0.1:8300".parse()?, ListenConfig::default()).await?;
    let port = Port::builder()
        .tag(0x7f, "greet", service_fn(greet))
        .otherwise("echo", service_fn(echo))
        .build()?;
    print!("listening on {}\n{port}", listener.local_addr());

    let drainer = Drainer::new();
    let mut server = tokio::spawn(listener.serve(Sniff::new(port), drainer.handle()));
    tokio::select! {
        stopped = &mut server => return Err(format!("the server stopped: {stopped:?}").into()),
        asked = tokio::signal::ctrl_c() => asked?,
    }
    drainer.drain();
    println!("{:?}", server.await?);
    Ok(())
}
