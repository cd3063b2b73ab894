//! A whole net/rpc session, fed with arbitrary bytes in two pieces: it never panics, and it ends when
//! the peer has.
#![no_main]

use libfuzzer_sys::fuzz_target;
use oneport_proto::{
    Class, Head, Session,
    structs::{DCSpecificRequest, KVSRequest, KeyRequest},
};
use oneport_services::{Conn, Drainer, netrpc};
use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};
use tonic::Status;
use tower::Service;

async fn key((): (), _: Head, request: KeyRequest) -> Result<KeyRequest, Status> {
    Ok(request)
}

async fn apply((): (), _: Head, request: KVSRequest) -> Result<KVSRequest, Status> {
    Ok(request)
}

async fn leader((): (), _: Head, request: DCSpecificRequest) -> Result<DCSpecificRequest, Status> {
    Ok(request)
}

async fn run(bytes: &[u8]) {
    let router = netrpc::Router::builder(())
        .method("KVS.Get", Class::Read, key)
        .method("KVS.Apply", Class::Write, apply)
        .method("Status.Leader", Class::Read, leader)
        .build()
        .expect("the routes are fine");
    let mut server = netrpc::Server::new(router.methods(), router);
    let drainer = Drainer::new();
    let (near, far) = duplex(64 * 1024);
    let conn = Conn::stream(Session::in_process(), drainer.handle(), near);
    let serving = server.call(conn);
    let (mut answers, mut wire) = tokio::io::split(far);
    let speaking = async {
        let (first, second) = bytes.split_at(bytes.len() / 2);
        // The server may have hung up; then nobody wants the rest.
        let _gone = wire.write_all(first).await;
        tokio::task::yield_now().await;
        let _gone = wire.write_all(second).await;
        let _gone = wire.shutdown().await;
    };
    let listening = async {
        let mut all = Vec::new();
        let _broken = answers.read_to_end(&mut all).await;
    };
    let (_ended, (), ()) = tokio::join!(serving, speaking, listening);
}

fuzz_target!(|bytes: &[u8]| {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime")
        .block_on(run(bytes));
});
