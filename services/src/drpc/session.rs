//! One session: calls in, answers out, one after the other.

use std::{future::poll_fn, io, sync::Arc};

use bytes::Bytes;
use oneport_proto::BoxError;
use tokio::{
    sync::OwnedSemaphorePermit,
    time::{Instant, timeout, timeout_at},
};
use tower::Service;

use super::{
    chunk::{Assembler, FrameError},
    message::Response,
    packet::{Late, ReceiveError},
    reply::Reply,
    request::Request,
    server::Shared,
    service::ModuleService,
    socket::Socket,
};

/// One dRPC session.
pub(super) struct Session<S> {
    socket: Socket,
    service: ModuleService<S>,
    shared: Arc<Shared>,
    assembler: Assembler,
}

/// A message, and the memory that was set aside for it.
struct Received(Bytes, Option<OwnedSemaphorePermit>);

impl<S> Session<S>
where
    S: Service<Request, Response = Reply, Error: Into<BoxError>>,
{
    pub(super) fn new(socket: Socket, service: ModuleService<S>, shared: Arc<Shared>) -> Self {
        Session {
            socket,
            service,
            assembler: Assembler::new(shared.config.message_limit),
            shared,
        }
    }

    /// Serves the connection to its end.
    pub(super) async fn run(&mut self) -> Result<(), BoxError> {
        let ended = self.serve().await;
        match ended {
            Err(error) if is_hangup(&error) => Ok(()),
            Err(error) => {
                self.log(&error);
                Err(error)
            }
            Ok(()) => Ok(()),
        }
    }

    /// Tells why a session ended that should not have. A peer of the wrong age is for its operator to
    /// know.
    fn log(&self, error: &BoxError) {
        let (session, peer) = (self.socket.session.id, &self.socket.session.peer);
        if let Some(FrameError::Legacy) = error.downcast_ref() {
            tracing::warn!(session, %peer, %error, "dRPC session ended");
        } else {
            tracing::debug!(session, %peer, %error, "dRPC session ended");
        }
    }

    async fn serve(&mut self) -> Result<(), BoxError> {
        while let Some(Received(call, memory)) = self.receive().await? {
            let response = self.service.answer(&self.socket.session, call).await;
            self.send(&response).await?;
            drop(memory);
        }
        Ok(())
    }

    /// The next message; `None` when the session should end: the peer has, or a drain has begun and
    /// no message is under way.
    async fn receive(&mut self) -> Result<Option<Received>, BoxError> {
        let first = match self.shared.config.idle {
            None => self.first().await?,
            Some(idle) => match timeout(idle, self.first()).await {
                Ok(first) => first?,
                Err(_) => return Err(Late::Idle(idle).into()),
            },
        };
        match first {
            None => Ok(None),
            Some(Some(message)) => Ok(Some(Received(message, None))),
            // Rare, so it takes no room in the others.
            Some(None) => Box::pin(self.rest()).await.map(Some),
        }
    }

    /// The first packet of a message, which most often is all of it.
    async fn first(&mut self) -> Result<Option<Option<Bytes>>, ReceiveError> {
        poll_fn(|cx| {
            let Session {
                socket, assembler, ..
            } = self;
            let polled = socket.packets.poll_push(cx, assembler);
            if polled.is_ready() {
                return polled;
            }
            assembler.rest();
            socket.drain.poll(cx).map(|()| Ok(None))
        })
        .await
    }

    /// The rest of a message of several packets.
    async fn rest(&mut self) -> Result<Received, BoxError> {
        let within = self.shared.config.message_time;
        let until = Instant::now() + within;
        let total = self.assembler.under_way().unwrap_or(0);
        let reserved = timeout_at(until, self.shared.reserve(total)).await;
        let memory = reserved.map_err(|_| Late::Message(within))?;
        let message = timeout_at(until, self.last()).await;
        let message = message.map_err(|_| Late::Message(within))??;
        Ok(Received(message, memory))
    }

    async fn last(&mut self) -> Result<Bytes, ReceiveError> {
        let Session {
            socket, assembler, ..
        } = self;
        loop {
            match poll_fn(|cx| socket.packets.poll_push(cx, assembler)).await? {
                Some(Some(message)) => return Ok(message),
                Some(None) => {}
                None => return Err(ReceiveError::Io(io::ErrorKind::UnexpectedEof.into())),
            }
        }
    }

    async fn send(&mut self, response: &Response) -> Result<(), BoxError> {
        let stall = self.shared.config.write_stall;
        let sent = self.socket.packets.send(response, Some(stall), || ());
        Ok(sent.await?)
    }
}

/// A peer that hung up is no error of the session: clients that want no answer do so.
fn is_hangup(error: &BoxError) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionAborted, ConnectionReset};
    error.downcast_ref::<io::Error>().is_some_and(|error| {
        matches!(
            error.kind(),
            BrokenPipe | ConnectionAborted | ConnectionReset
        )
    })
}
