//! A whole server: a stranger's byte beside net/rpc on one port, until Ctrl-C.
//!
//! `cargo run --example stranger`, then `printf '\x7fyou' | nc 127.0.0.1 8300` greets and
//! `oneport rpc Math.Add --body '[40, 2]'` adds.

use oneport::proto::{BoxError, Class, Head, Status};
use oneport::services::{Conn, Drainer, netrpc};
use oneport::{ListenConfig, Listener, Port, Sniff};
use tokio::io::AsyncWriteExt;
use tower::service_fn;

async fn add((): (), _: Head, (a, b): (i64, i64)) -> Result<i64, Status> {
    let sum = a.checked_add(b);
    sum.ok_or_else(|| Status::out_of_range("the sum has no room"))
}

async fn greet(mut conn: Conn) -> Result<(), BoxError> {
    let name = conn.chunk().await?;
    conn.write_all(&[b"hello, ", &name[..], b"\n"].concat())
        .await?;
    Ok(conn.shutdown().await?)
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let listener = Listener::bind("127.0.0.1:8300".parse()?, ListenConfig::default()).await?;
    let router = netrpc::Router::builder(())
        .method("Math.Add", Class::Read, add)
        .build()?;
    let port = Port::builder()
        .tag(
            0x00,
            "net/rpc",
            netrpc::Server::new(router.methods(), router),
        )
        .tag(0x7f, "greet", service_fn(greet))
        .build()?;
    print!("listening on {}\n{port}", listener.local_addr());

    let drainer = Drainer::new();
    let drain = drainer.handle();
    let stop = async { tokio::signal::ctrl_c().await.map(|()| drainer.drain()) };
    let (served, stopped) = tokio::join!(listener.serve(Sniff::new(port), drain), stop);
    println!("{served:?}");
    Ok(stopped?)
}
