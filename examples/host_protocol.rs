//! A stranger's protocol on a byte of its own, with all layers in front: its lines are calls like any
//! other, so they are counted, traced, timed, limited and bound as net/rpc is.
//!
//! `cargo run --example host_protocol`

use std::sync::Arc;

use oneport::client::{Dial, Endpoint};
use oneport::layers::bucket::{Limit, Rate};
use oneport::proto::{
    BoxError, Call, Class, Code, End, Family, Head, Method, MethodInfo, Reply, Status, status_of,
};
use oneport::services::{Conn, Drainer};
use oneport::{Everybody, Layers, ListenConfig, Listener, Port, Sniff, Stack, StackConfig};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::time::Instant;
use tower::{Service, ServiceExt, service_fn};

/// The byte that says it, and the name that it has in logs and metrics.
const SHOUT: u8 = 0x7f;
const FAMILY: Family = Family::Host("shout");

/// One line on its way in.
struct Line {
    head: Head,
    text: String,
}

impl Call for Line {
    fn head(&self) -> Option<&Head> {
        Some(&self.head)
    }

    fn head_mut(&mut self) -> Option<&mut Head> {
        Some(&mut self.head)
    }
}

/// One line on its way out: known as a whole, so it has ended as soon as it is there.
struct Said(String);

impl Reply for Said {
    type Tracked<E: End> = Said;

    fn on_end<E: End>(self, end: E) -> Said {
        end.end(Code::Ok);
        self
    }
}

/// What the protocol is good for.
async fn shout(line: Line) -> Result<Said, BoxError> {
    if line.text.is_empty() {
        return Err(Status::invalid_argument("nothing to shout").into());
    }
    Ok(Said(line.text.to_uppercase()))
}

/// The driver: lines become calls, and whatever a call ends with becomes a line.
async fn serve(
    conn: Conn,
    mut stack: Stack<Line, Said>,
    method: &'static MethodInfo,
) -> Result<(), BoxError> {
    let session = Arc::clone(conn.session());
    let mut lines = BufReader::new(conn).lines();
    while let Some(text) = lines.next_line().await? {
        let head = Head::new(Method::Known(method), Arc::clone(&session), Instant::now());
        let answer = stack.ready().await?.call(Line { head, text }).await;
        let said = match answer {
            Ok(Said(text)) => text,
            // The face of every refusal on this wire.
            Err(error) => format!("! {}", status_of(error).message()),
        };
        let out = lines.get_mut();
        out.write_all(format!("{said}\n").as_bytes()).await?;
        out.flush().await?;
    }
    Ok(())
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let mut config = StackConfig::default();
    config.rates.rpc = Limit {
        rate: Rate::per_second(0.001)?,
        burst: 2,
    };
    let layers = Layers::new(&config, Everybody::new());
    let stack = layers.stack(service_fn(shout));
    let method = MethodInfo::intern(FAMILY, "Line", Class::Read)?;
    let protocol = service_fn(move |conn| serve(conn, stack.clone(), method));

    let port = Port::builder().tag(SHOUT, "shout", protocol).build()?;
    print!("{port}");
    let drainer = Drainer::new();
    let listener = Listener::bind("127.0.0.1:0".parse()?, ListenConfig::default()).await?;
    let addr = listener.local_addr();
    let server = tokio::spawn(listener.serve(Sniff::new(port), drainer.handle()));

    let mut dial = Dial::new(drainer.handle());
    let conn = dial.call(Endpoint::from(addr).tag(SHOUT)).await?;
    let mut lines = BufReader::new(conn).lines();
    for line in ["hello", "", "again"] {
        let out = lines.get_mut();
        out.write_all(format!("{line}\n").as_bytes()).await?;
        out.flush().await?;
        println!(
            "{line:?} -> {:?}",
            lines.next_line().await?.unwrap_or_default()
        );
    }
    drop(lines);
    drainer.drain();
    server.await?;
    Ok(())
}
