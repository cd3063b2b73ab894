//! A connected socket of packets.

use std::{
    cell::RefCell,
    future::poll_fn,
    io::{self, IoSlice},
    os::{
        fd::{AsFd, OwnedFd},
        unix::net::UnixStream as StdUnixStream,
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use oneport_proto::{BoxError, UnixPeer};
use rustix::{
    io::Errno,
    net::{
        AddressFamily, RecvFlags, SendAncillaryBuffer, SendFlags, SocketFlags, SocketType, recv,
        sendmsg, socketpair, sockopt,
    },
};
use tokio::{
    io::Interest,
    net::{UnixStream, unix::UCred},
    time::timeout,
};

use super::{
    chunk::{Assembler, FrameError, MAX_PACKET, chunks},
    message::{PREFIX, Parted},
};

thread_local! {
    /// Where packets are received before they go to their message. One for each thread and none for
    /// each connection, since nothing waits while it is in use.
    static PACKET: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// A connected `SOCK_SEQPACKET` socket.
///
/// Tokio's stream stands for any connected unix socket here: it tells when the socket is ready and
/// who is at the other end. Reading and writing go by it, since only `recv` and `sendmsg` keep
/// packets apart.
#[derive(Debug)]
pub(crate) struct Packets {
    socket: UnixStream,
    /// The peer closed without having read everything. What it had sent before can still be read.
    reset: bool,
}

/// Why a message did not arrive.
#[derive(Debug)]
pub(crate) enum ReceiveError {
    Io(io::Error),
    Frame(FrameError),
}

impl From<ReceiveError> for BoxError {
    fn from(error: ReceiveError) -> BoxError {
        match error {
            ReceiveError::Io(error) => error.into(),
            ReceiveError::Frame(error) => error.into(),
        }
    }
}

/// A peer that takes longer than it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Late {
    /// It did not send the rest of a message.
    #[error("a message was not whole within {0:?}")]
    Message(Duration),
    /// It did not take an answer.
    #[error("nothing of an answer was taken for {0:?}")]
    Write(Duration),
    /// It did not call.
    #[error("no call for {0:?}")]
    Idle(Duration),
}

impl Packets {
    /// Takes a connected socket.
    ///
    /// # Errors
    /// If it is no `SOCK_SEQPACKET` socket, or the runtime does not take it.
    pub(crate) fn new(socket: OwnedFd) -> io::Result<Packets> {
        if sockopt::socket_type(&socket)? != SocketType::SEQPACKET {
            let text = "the socket is not of the type SOCK_SEQPACKET";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, text));
        }
        let socket = StdUnixStream::from(socket);
        socket.set_nonblocking(true)?;
        Ok(Packets::accepted(UnixStream::from_std(socket)?))
    }

    /// A socket that came from a listener of packets.
    pub(crate) fn accepted(socket: UnixStream) -> Packets {
        Packets {
            socket,
            reset: false,
        }
    }

    /// Two ends of one connection.
    pub(crate) fn pair() -> io::Result<(Packets, Packets)> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (near, far) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        Ok((Packets::new(near)?, Packets::new(far)?))
    }

    /// Who is at the other end, as of when it connected.
    pub(crate) fn peer(&self) -> io::Result<UnixPeer> {
        self.socket.peer_cred().map(|peer: UCred| UnixPeer {
            // The kernel says 0 for a process that cannot be seen from here.
            pid: peer.pid().filter(|pid| *pid != 0),
            uid: peer.uid(),
            gid: peer.gid(),
        })
    }

    /// Whether the connection is open and has nothing to say.
    pub(crate) fn is_quiet(&self) -> bool {
        let mut byte = [0];
        let flags = RecvFlags::PEEK | RecvFlags::DONTWAIT;
        matches!(recv(&self.socket, &mut byte, flags), Err(Errno::AGAIN))
    }

    /// The next packet, given to `take`; `None` at the end.
    fn poll_packet<T>(
        &mut self,
        cx: &mut Context<'_>,
        take: &mut dyn FnMut(&[u8]) -> Result<T, FrameError>,
    ) -> Poll<Result<Option<T>, ReceiveError>> {
        loop {
            ready!(self.socket.poll_read_ready(cx)).map_err(ReceiveError::Io)?;
            let socket = &self.socket;
            let received = socket.try_io(Interest::READABLE, || {
                with_packet(|buffer| {
                    let length = receive(socket, buffer)?;
                    Ok(length.map(|length| match buffer.get(..length) {
                        Some(packet) => take(packet),
                        None => Err(FrameError::Long { length }),
                    }))
                })
            });
            match received {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset && !self.reset => {
                    self.reset = true;
                }
                Err(error) => return Poll::Ready(Err(ReceiveError::Io(error))),
                Ok(None) => return Poll::Ready(Ok(None)),
                Ok(Some(taken)) => {
                    return Poll::Ready(taken.map(Some).map_err(ReceiveError::Frame));
                }
            }
        }
    }

    /// Gives the next packet to the assembler: a message if that completes one, `None` at the end.
    pub(crate) fn poll_push(
        &mut self,
        cx: &mut Context<'_>,
        assembler: &mut Assembler,
    ) -> Poll<Result<Option<Option<bytes::Bytes>>, ReceiveError>> {
        self.poll_packet(cx, &mut |packet| assembler.push(packet))
    }

    /// Sends one packet of several parts; it leaves whole or not at all.
    fn poll_send(&mut self, cx: &mut Context<'_>, parts: &[IoSlice<'_>]) -> Poll<io::Result<()>> {
        loop {
            ready!(self.socket.poll_write_ready(cx))?;
            let socket = &self.socket;
            let sent = socket.try_io(Interest::WRITABLE, || {
                let mut control = SendAncillaryBuffer::default();
                Ok(sendmsg(socket, parts, &mut control, SendFlags::NOSIGNAL)?)
            });
            match sent {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                sent => return Poll::Ready(sent.map(|_whole| ())),
            }
        }
    }

    /// Sends a message, chunk after chunk, to a peer that may take it slowly, as long as it takes
    /// some within each `stall`. `sent` hears of each chunk that has left.
    ///
    /// # Errors
    /// What the kernel says. A message of which a part is missing is never carried out.
    pub(crate) async fn send(
        &mut self,
        message: &impl Parted,
        stall: Option<Duration>,
        mut sent: impl FnMut(),
    ) -> io::Result<()> {
        let mut space = [0; PREFIX];
        let prefix = prefix(message, &mut space);
        let body = message.body();
        let Some(chunks) = chunks(prefix.len() + body.len()) else {
            return Err(io::ErrorKind::InvalidInput.into());
        };
        for (header, range) in chunks {
            let header = header.to_bytes();
            let split = prefix.len();
            let front = &prefix[range.start.min(split)..range.end.min(split)];
            let back = &body[range.start.saturating_sub(split)..range.end.saturating_sub(split)];
            let parts = [&header, front, back].map(IoSlice::new);
            match poll_fn(|cx| Poll::Ready(self.poll_send(cx, &parts))).await {
                Poll::Ready(sent) => sent?,
                // Rare, so it takes no room in the others.
                Poll::Pending => Box::pin(self.send_slowly(&parts, stall)).await?,
            }
            sent();
        }
        Ok(())
    }
}

impl Packets {
    async fn send_slowly(
        &mut self,
        parts: &[IoSlice<'_>],
        stall: Option<Duration>,
    ) -> io::Result<()> {
        let sending = poll_fn(|cx| self.poll_send(cx, parts));
        let Some(stall) = stall else {
            return sending.await;
        };
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, Late::Write(stall));
        timeout(stall, sending).await.map_err(late)?
    }
}

/// Everything of a message but its body, written to `space`.
fn prefix<'a>(message: &impl Parted, space: &'a mut [u8; PREFIX]) -> &'a [u8] {
    let mut out = &mut space[..];
    message.put_prefix(&mut out);
    let length = PREFIX - out.len();
    &space[..length]
}

fn with_packet<T>(run: impl FnOnce(&mut [u8]) -> T) -> T {
    PACKET.with_borrow_mut(|buffer| {
        buffer.resize(MAX_PACKET, 0);
        run(buffer)
    })
}

/// Receives the next packet and gives its true length, which may be more than the buffer holds;
/// `None` at the end. A packet without any bytes cannot be told from the end.
fn receive(socket: impl AsFd, buffer: &mut [u8]) -> io::Result<Option<usize>> {
    let (_held, length) = recv(socket, buffer, RecvFlags::TRUNC)?;
    Ok((length > 0).then_some(length))
}
