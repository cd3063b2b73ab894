//! A listener without sockets: connections and errors come from a queue.

use std::{
    io,
    task::{Context, Poll},
};

use oneport::{
    Accept, Accepted, ListenConfig, Listener, Served,
    proto::{Local, Peer},
    services::{Drainer, Protocol, StreamIo},
};
use tokio::{
    io::{DuplexStream, duplex},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
    task::{JoinHandle, yield_now},
};

/// What accepting comes to.
pub(crate) type Item = io::Result<Accepted<StreamIo<DuplexStream>>>;

struct Queue(UnboundedReceiver<Item>);

impl Accept for Queue {
    type Io = StreamIo<DuplexStream>;

    fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<Item> {
        match self.0.poll_recv(cx) {
            Poll::Ready(Some(item)) => Poll::Ready(item),
            // Nobody comes any more, which is no error.
            Poll::Ready(None) | Poll::Pending => Poll::Pending,
        }
    }
}

/// A listener at work.
pub(crate) struct Server {
    pub(crate) drainer: Drainer,
    pub(crate) task: JoinHandle<Served>,
    queue: UnboundedSender<Item>,
}

impl Server {
    pub(crate) fn start(config: ListenConfig, protocol: impl Protocol) -> Server {
        let (queue, items) = unbounded_channel();
        let drainer = Drainer::new();
        let listener = Listener::new(Queue(items), config).unwrap();
        let task = tokio::spawn(listener.serve(protocol, drainer.handle()));
        Server {
            drainer,
            task,
            queue,
        }
    }

    /// A connection from `peer`, an address with port or nothing for one of this process.
    pub(crate) fn connect(&self, peer: &str) -> DuplexStream {
        let (near, far) = duplex(1024);
        let accepted = Accepted {
            io: StreamIo::new(near),
            peer: peer.parse().map_or(Peer::Local, Peer::Tcp),
            local: Local::InProcess,
        };
        self.push(Ok(accepted));
        far
    }

    /// What the listener accepts next.
    pub(crate) fn push(&self, item: Item) {
        assert!(self.queue.send(item).is_ok(), "the listener is gone");
    }

    /// Runs others until this many handles of the drain are held: two by the listener itself, one
    /// by each connection, and one more by each that waits for the drain.
    pub(crate) async fn handles(&self, handles: usize) {
        while self.drainer.handles() != handles {
            yield_now().await;
        }
    }
}
