//! One connection of a client, with one call at a time.

use std::{future::poll_fn, io, path::Path, time::Duration};

use bytes::Bytes;
use prost::Message;
use rustix::{
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with},
};
use tokio::time::{Instant, sleep, timeout_at};

use super::{
    call_error::{CallError, Sent},
    chunk::Assembler,
    config::{DEFAULT_CONNECT_TIME, DEFAULT_MESSAGE_LIMIT},
    message::{Call, NO_SEQUENCE, Response},
    packet::{Packets, ReceiveError},
    status::Status,
};
use crate::Backoff;

/// What a client takes, and how long it tries.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientConfig {
    /// Largest answer in bytes; the default is [`DEFAULT_MESSAGE_LIMIT`].
    pub message_limit: usize,
    /// How long connecting may take; the default is [`DEFAULT_CONNECT_TIME`].
    pub connect_time: Duration,
}

impl Default for ClientConfig {
    fn default() -> Self {
        ClientConfig {
            message_limit: DEFAULT_MESSAGE_LIMIT,
            connect_time: DEFAULT_CONNECT_TIME,
        }
    }
}

/// A connection. Whoever drops it with an answer outstanding closes it, so that no later call can
/// read a stranger's answer.
#[derive(Debug)]
pub(crate) struct Link {
    packets: Packets,
    assembler: Assembler,
    sequence: i64,
    sent: Sent,
}

impl Link {
    pub(crate) fn new(packets: Packets, config: &ClientConfig) -> Link {
        Link {
            packets,
            assembler: Assembler::new(config.message_limit),
            sequence: 0,
            sent: Sent::No,
        }
    }

    /// Connects. A server whose queue is full is tried again until the time is up.
    pub(crate) async fn dial(path: &Path, config: &ClientConfig) -> Result<Link, CallError> {
        let failed = |source| CallError::Connect {
            path: path.to_owned(),
            source,
        };
        let address = address(path).map_err(failed)?;
        let until = Instant::now() + config.connect_time;
        let mut backoff = Backoff::default();
        loop {
            match try_connect(&address) {
                Ok(packets) => return Ok(Link::new(packets, config)),
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) => return Err(failed(error)),
            }
            let pause = backoff.wait();
            if Instant::now() + pause > until {
                return Err(CallError::Busy {
                    path: path.to_owned(),
                    within: config.connect_time,
                });
            }
            sleep(pause).await;
        }
    }

    /// Whether it can be used for a call: a server may have closed, or have said what nobody asked.
    pub(crate) fn is_usable(&self) -> bool {
        self.packets.is_quiet()
    }

    /// Makes one call and waits for its answer, at most until `deadline`. After an error the link is
    /// of no more use.
    pub(crate) async fn call(
        &mut self,
        module: i32,
        method: i32,
        body: Bytes,
        deadline: Option<Instant>,
    ) -> Result<Response, CallError> {
        self.sent = Sent::No;
        let exchange = self.exchange(module, method, body);
        match deadline {
            None => exchange.await,
            Some(at) => match timeout_at(at, exchange).await {
                Ok(answered) => answered,
                Err(_) => Err(CallError::TimedOut { sent: self.sent }),
            },
        }
    }

    /// How far the last call has come.
    pub(crate) fn sent(&self) -> Sent {
        self.sent
    }

    async fn exchange(
        &mut self,
        module: i32,
        method: i32,
        body: Bytes,
    ) -> Result<Response, CallError> {
        // The first is 1: a call to module 0 with number 0 may be a message without any bytes, on
        // which servers in C end their process.
        self.sequence = self.sequence.checked_add(1).unwrap_or(1);
        let call = Call {
            module,
            method,
            sequence: self.sequence,
            body,
        };
        if let Err(source) = self.packets.send(&call, None, || ()).await {
            return self.refused(source).await;
        }
        self.sent = Sent::Yes;
        let answer = self.receive().await?;
        self.check(answer)
    }

    /// A server that closes before it has read a whole call may have said why.
    async fn refused(&mut self, source: io::Error) -> Result<Response, CallError> {
        let closed = matches!(
            source.kind(),
            io::ErrorKind::BrokenPipe | io::ErrorKind::ConnectionReset
        );
        if closed && let Ok(answer) = self.receive().await {
            return self.check(answer);
        }
        let sent = self.sent;
        Err(CallError::Io { sent, source })
    }

    async fn receive(&mut self) -> Result<Bytes, CallError> {
        let Link {
            packets,
            assembler,
            sent,
            ..
        } = self;
        loop {
            match poll_fn(|cx| packets.poll_push(cx, assembler)).await {
                Ok(Some(Some(message))) => return Ok(message),
                Ok(Some(None)) => {}
                Ok(None) => return Err(CallError::Closed { sent: *sent }),
                Err(ReceiveError::Frame(error)) => return Err(CallError::Frame(error)),
                Err(ReceiveError::Io(source)) => {
                    let sent = *sent;
                    return Err(CallError::Io { sent, source });
                }
            }
        }
    }

    fn check(&self, answer: Bytes) -> Result<Response, CallError> {
        let response = Response::decode(answer).map_err(CallError::NoResponse)?;
        let to_no_call =
            response.sequence == NO_SEQUENCE && response.ended() == Status::FAILED_UNMARSHAL_CALL;
        if response.sequence == self.sequence || to_no_call {
            return Ok(response);
        }
        Err(CallError::Sequence {
            sent: self.sequence,
            got: response.sequence,
        })
    }

    /// Gives back the memory of a large answer.
    pub(crate) fn rest(&mut self) {
        self.assembler.rest();
    }
}

/// A path, or a name of the abstract namespace with an `@` in front, as in Go.
fn address(path: &Path) -> io::Result<SocketAddrUnix> {
    match path.as_os_str().as_encoded_bytes().strip_prefix(b"@") {
        Some(name) => Ok(SocketAddrUnix::new_abstract_name(name)?),
        None => Ok(SocketAddrUnix::new(path)?),
    }
}

fn try_connect(address: &SocketAddrUnix) -> io::Result<Packets> {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
    match connect(&socket, address) {
        Ok(()) => Packets::new(socket),
        Err(Errno::AGAIN) => Err(io::ErrorKind::WouldBlock.into()),
        Err(error) => Err(error.into()),
    }
}
