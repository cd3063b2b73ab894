//! `oneport drpc serve`.

use std::{path::PathBuf, time::Duration};

use oneport::{
    proto::{BoxError, Class, Head},
    services::{
        Drainer,
        drpc::{
            Failure as Refused, Listener, Module, Reply, Request, RouteError, Router, Served,
            Server, Status,
        },
    },
};
use tokio::time::sleep;
use tower::service_fn;

use super::{
    hello::{Hello, HelloResponse},
    refuse_bind,
};
use crate::cli::{
    block_on,
    exit::{Exit, Failure},
    mode, output,
    signals::Signals,
};

/// Serve dRPC for trying it out.
///
/// Module 0 method 0 greets: it takes the Hello of hello.proto and answers its HelloResponse. Module
/// 1 method 0 gives the body back as it is, method 1 answers FAILURE, and method 2 waits as many
/// milliseconds as its body says, which is a u32 in little-endian order. What an earlier server left
/// at SOCKET is replaced, everything else there is left alone. The first SIGINT or SIGTERM drains:
/// the socket's file goes and calls under way are answered. A second one ends it at once.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  oneport drpc serve /tmp/hello.sock
  oneport drpc serve /tmp/hello.sock --mode 0666            for every user of this host
  oneport drpc call /tmp/hello.sock 0 0 --hex 0a03426f62    from another terminal
  oneport drpc call /tmp/hello.sock 1 2 --hex e8030000      answered after a second")]
pub(super) struct Args {
    /// Where to put the socket, in at most 107 bytes.
    socket: PathBuf,
    /// Who may connect: whoever may write, in octal.
    #[arg(long, value_name = "MODE", default_value = "0660", value_parser = mode::parse)]
    mode: u32,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        block_on(self.serve())
    }

    async fn serve(self) -> Result<(), Failure> {
        let mut signals = Signals::install()?;
        let router = router().map_err(|error| Failure::caused(Exit::Usage, &error))?;
        let listener = Listener::builder(&self.socket).mode(self.mode).bind();
        let listener = listener.await.map_err(|error| refuse_bind(&error))?;
        tell(&greeting(&self.socket, &router));
        let drainer = Drainer::new();
        let serving = listener.serve(Server::router(router), drainer.handle());
        run(serving, &drainer, &mut signals).await;
        Ok(())
    }
}

/// Serves until a signal drains it, or a second one ends it.
pub(super) async fn run(
    serving: impl Future<Output = Served>,
    drainer: &Drainer,
    signals: &mut Signals,
) {
    let signalled = async {
        signals.next().await;
        drainer.drain();
        signals.next().await;
    };
    tokio::select! {
        served = serving => tell(&farewell(served)),
        () = signalled => tell("ended at once"),
    }
}

/// A server does not end because nobody reads its stdout any more.
pub(super) fn tell(text: &str) {
    let _closed = output::line(text);
}

fn farewell(served: Served) -> String {
    match served.cut {
        0 => "drained".to_owned(),
        1 => "drained, 1 session was cut at the deadline".to_owned(),
        cut => format!("drained, {cut} sessions were cut at the deadline"),
    }
}

fn greeting(socket: &std::path::Path, router: &Router) -> String {
    let methods = router.methods();
    let mut rows: Vec<_> = methods
        .iter()
        .map(|(module, method, info)| (module, method, info.name))
        .collect();
    rows.sort_unstable();
    let mut text = format!("serving dRPC at {}", socket.display());
    for (module, method, name) in rows {
        text += &format!("\nmodule {module} method {method}  {name}");
    }
    text
}

fn router() -> Result<Router, RouteError> {
    let hello = Module::builder(0, "hello")
        .method(0, "greet", Class::Read, greet)
        .build()?;
    let echo = Module::builder(1, "echo")
        .service(0, "echo", Class::Read, service_fn(echo))
        .service(1, "fail", Class::Read, service_fn(fail))
        .service(2, "wait", Class::Read, service_fn(wait))
        .build()?;
    Router::builder().module(hello).module(echo).build()
}

async fn greet(_: Head, hello: Hello) -> Result<HelloResponse, Refused> {
    Ok(HelloResponse {
        greeting: format!("Hello {}", hello.name),
    })
}

async fn echo(request: Request) -> Result<Reply, BoxError> {
    Ok(Reply::new(request.body))
}

async fn fail(_: Request) -> Result<Reply, BoxError> {
    Err(Refused::new(Status::FAILURE).into())
}

async fn wait(request: Request) -> Result<Reply, BoxError> {
    let Ok(millis) = <[u8; 4]>::try_from(&request.body[..]) else {
        return Err(Refused::new(Status::FAILED_UNMARSHAL_PAYLOAD).into());
    };
    sleep(Duration::from_millis(u32::from_le_bytes(millis).into())).await;
    Ok(Reply::default())
}
