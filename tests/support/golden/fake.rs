//! A server that plays a recording back, well or badly: what the replay itself
//! is tested with.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;

use super::record::{Call, End};
use super::yamux;

/// What the server does wrong.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    Nothing,
    /// Closes single connections that stay open, and the other way round.
    EndsOtherwise,
    /// Adds a byte to every reply.
    SaysMore,
    /// Does not acknowledge a stream.
    NoAcknowledgement,
    /// Closes a stream before it answers.
    ClosesFirst,
}

/// Serves one call, over and over, until the process ends.
pub(crate) fn serve(call: &Call, fault: Fault) -> SocketAddr {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a free port");
    let addr = listener.local_addr().expect("it is bound");
    let mut reply = call.reply.clone();
    if fault == Fault::SaysMore {
        reply.push(0xc0);
    }
    let stays = (call.single_end == End::Open) != (fault == Fault::EndsOtherwise);
    let request = call.request.len();
    thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let reply = reply.clone();
            // A client that goes away in the middle is the client's affair.
            thread::spawn(move || answer(stream, request, &reply, stays, fault).ok());
        }
    });
    addr
}

fn answer(
    mut stream: TcpStream,
    request: usize,
    reply: &[u8],
    stays: bool,
    fault: Fault,
) -> std::io::Result<()> {
    let mut mode = [0];
    stream.read_exact(&mut mode)?;
    // Over yamux the request comes behind a frame that opens the stream, and
    // behind its own header.
    let multi = mode == [4];
    let frames = if multi { 2 * yamux::HEADER } else { 0 };
    stream.read_exact(&mut vec![0; frames + request])?;
    if !multi {
        stream.write_all(reply)?;
        if stays {
            // Its end is the client's.
            stream.read_to_end(&mut Vec::new())?;
        }
        return Ok(());
    }
    let acknowledge = [0, 1, 0, 2, 0, 0, 0, 1, 0, 0, 0, 0];
    let close = [0, 1, 0, 4, 0, 0, 0, 1, 0, 0, 0, 0];
    let length = u32::try_from(reply.len())
        .expect("a short reply")
        .to_be_bytes();
    let data = [&[0, 0, 0, 0, 0, 0, 0, 1], &length[..], reply].concat();
    match fault {
        Fault::NoAcknowledgement => stream.write_all(&[&data[..], &close].concat())?,
        Fault::ClosesFirst => stream.write_all(&[&acknowledge[..], &close, &data].concat())?,
        _ => stream.write_all(&[&acknowledge[..], &data, &close].concat())?,
    }
    stream.read_to_end(&mut Vec::new())?;
    Ok(())
}
