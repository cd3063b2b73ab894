//! dRPC: packets from a stranger, and the messages in them.
//!
//! Good seeds are the packets that were recorded of DAOS, in `tests/golden/drpc/vectors.txt`: each line
//! of hex is one, for [`packets`] with its length as two bytes in front, least first, and for [`call`]
//! without its first 24 bytes.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
};

use bytes::Bytes;
use oneport_proto::{Class, Head, Session};
use oneport_services::drpc::{
    Assembler, Call, Failure, HEADER, Module, ModuleService, Response, Router, Status, chunks,
};
use prost::Message;

/// The most that the fuzzed assembler takes, in bytes.
const LIMIT: usize = 4096;

/// Puts packets together, each behind its length. Messages stay within the limit, and hold what came
/// in the packets behind their headers; a message that is cut again makes itself again.
pub fn packets(mut data: &[u8]) {
    let mut assembler = Assembler::new(LIMIT);
    let mut sent = Vec::new();
    while let Some((length, rest)) = data.split_first_chunk() {
        let length = usize::from(u16::from_le_bytes(*length)).min(rest.len());
        let (packet, rest) = rest.split_at(length);
        data = rest;
        sent.extend_from_slice(packet.get(HEADER..).unwrap_or_default());
        match assembler.push(packet) {
            Ok(None) => assert!(assembler.under_way().is_some()),
            Ok(Some(message)) => {
                assert!(message.len() <= LIMIT);
                assert_eq!(message, sent);
                assert_eq!(assembler.under_way(), None);
                again(&message);
                sent.clear();
                assembler.rest();
            }
            Err(_) => return,
        }
    }
}

fn again(message: &[u8]) {
    let mut assembler = Assembler::new(LIMIT);
    let mut whole = None;
    for (header, range) in chunks(message.len()).expect("it is short") {
        let packet = [&header.to_bytes(), &message[range]].concat();
        whole = assembler.push(&packet).expect("we wrote it");
    }
    assert_eq!(whole.as_deref(), Some(message));
}

/// A message without a field.
#[derive(Clone, Copy, PartialEq, prost::Message)]
struct Nothing {}

/// Answers a message: always with a response, to the call that it is or to none.
pub fn call(data: &[u8]) {
    let module = Module::builder(0, "fuzz")
        .method(0, "nothing", Class::Read, |_: Head, request: Nothing| {
            std::future::ready(Ok::<_, Failure>(request))
        })
        .build()
        .expect("the module is fine");
    let router = Router::builder().module(module).build();
    let mut service = ModuleService::router(router.expect("the router is fine"));
    let session = Session::in_process();
    let answer = {
        let mut answering = pin!(service.process(&session, Bytes::copy_from_slice(data)));
        match answering
            .as_mut()
            .poll(&mut Context::from_waker(Waker::noop()))
        {
            Poll::Ready(answer) => answer,
            Poll::Pending => panic!("nothing waits here"),
        }
    };
    let answer = Response::decode(answer).expect("we wrote it");
    match Call::decode(data) {
        Ok(call) => assert_eq!(answer.sequence, call.sequence),
        Err(_) => {
            assert_eq!(answer.sequence, -1);
            assert_eq!(answer.ended(), Status::FAILED_UNMARSHAL_CALL);
        }
    }
}
