//! The way down: one signal that is also a wait-group.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
};

use tokio::sync::watch;

/// The owner's end: tells everybody to finish and waits until everybody has.
#[derive(Debug)]
pub struct Drainer {
    signal: watch::Sender<bool>,
}

impl Drainer {
    /// A drainer that nobody listens to yet.
    pub fn new() -> Drainer {
        Drainer {
            signal: watch::Sender::new(false),
        }
    }

    /// A handle for somebody who has to finish before [`Drainer::drained`] returns.
    pub fn handle(&self) -> Drain {
        Drain {
            signal: self.signal.subscribe(),
            relayed: false,
        }
    }

    /// Asks every holder of a handle to finish what it has begun and to begin nothing new.
    pub fn drain(&self) {
        self.signal.send_replace(true);
    }

    /// Waits until every handle is dropped.
    pub async fn drained(&self) {
        self.signal.closed().await;
    }

    /// How many handles there are: connections, sessions and listeners at work.
    pub fn handles(&self) -> usize {
        self.signal.receiver_count()
    }
}

impl Default for Drainer {
    fn default() -> Self {
        Drainer::new()
    }
}

/// A worker's end: held as long as there is work, read to learn that it should end.
#[derive(Clone, Debug)]
pub struct Drain {
    signal: watch::Receiver<bool>,
    relayed: bool,
}

impl Drain {
    /// Whether the drain has begun. A lost owner counts as a drain.
    pub fn is_draining(&self) -> bool {
        *self.signal.borrow() || self.signal.has_changed().is_err()
    }

    /// Waits until the drain begins.
    pub async fn draining(mut self) {
        // An error means that the owner is gone, which is a drain too.
        let _gone = self.signal.wait_for(|draining| *draining).await;
    }

    /// A handle for a future that its owner polls when the drain begins, as a yamux session does
    /// with its streams: it can be asked, but never registers a waker of its own.
    pub fn relayed(&self) -> Drain {
        Drain {
            signal: self.signal.clone(),
            relayed: true,
        }
    }
}

/// A [`Drain`] that can be polled. The waiter is made on the first poll and kept.
pub(crate) struct DrainSignal {
    drain: Drain,
    waiter: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl DrainSignal {
    pub(crate) fn new(drain: Drain) -> DrainSignal {
        DrainSignal {
            drain,
            waiter: None,
        }
    }

    pub(crate) fn get(&self) -> &Drain {
        &self.drain
    }

    pub(crate) fn poll(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.drain.is_draining() {
            return Poll::Ready(());
        }
        if self.drain.relayed {
            return Poll::Pending;
        }
        let drain = &self.drain;
        self.waiter
            .get_or_insert_with(|| Box::pin(drain.clone().draining()))
            .as_mut()
            .poll(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn draining_is_signal_and_wait_group() {
        let drainer = Drainer::new();
        let drain = drainer.handle();
        assert!(!drain.is_draining());
        let worker = tokio::spawn(drain.clone().draining());
        drainer.drain();
        worker.await.unwrap();
        assert!(drain.is_draining());
        assert_eq!(drainer.handles(), 1);
        drop(drain);
        drainer.drained().await;
    }

    #[tokio::test]
    async fn a_lost_owner_is_a_drain() {
        let drainer = Drainer::new();
        let drain = drainer.handle();
        drop(drainer);
        assert!(drain.is_draining());
        drain.draining().await;
    }
}
