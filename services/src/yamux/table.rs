//! The streams of a session: by their place, and by their id on the wire.

use std::{
    collections::{BTreeMap, VecDeque},
    task::Waker,
};

use bytes::BytesMut;
use tokio::{sync::OwnedSemaphorePermit, time::Instant};

use super::{
    fault::StreamError,
    inbox::Inbox,
    window::{RecvWindow, SendWindow},
};

/// The place of a stream in its session. Places are used again; the serial number tells who is
/// meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    pub(crate) slot: u32,
    pub(crate) serial: u32,
}

impl Key {
    pub(crate) fn index(self) -> usize {
        // A u32 is not larger than a usize on any target with tokio's net.
        usize::try_from(self.slot).unwrap_or(usize::MAX)
    }

    #[cfg(test)]
    pub(crate) fn for_test(slot: u32) -> Key {
        Key { slot, serial: slot }
    }
}

/// How a stream came to be, and how far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Opened by the peer and not yet given to the protocol: no ACK was sent.
    Waiting,
    /// Opened by the peer and accepted.
    Accepted,
    /// Opened by us.
    Ours,
}

/// Our half of a stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Half {
    Open,
    /// FIN goes out behind what is pending.
    Closing,
    Closed,
}

/// What is sent when the application drops the stream unfinished.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LastWords {
    /// RST.
    Reset,
    /// FIN: the protocol has come to its end before.
    Fin,
    /// The protocol is being polled: whoever polls it decides by how that ends.
    Undecided,
}

/// One stream.
#[derive(Debug)]
pub(crate) struct Stream {
    pub(crate) id: u32,
    pub(crate) serial: u32,
    pub(crate) origin: Origin,
    pub(crate) local: Half,
    /// The peer sent FIN.
    pub(crate) finished: bool,
    /// The peer sent a byte.
    pub(crate) heard: bool,
    /// The application holds it.
    pub(crate) held: bool,
    /// It is on the list of writers to be served.
    pub(crate) queued: bool,
    pub(crate) last_words: LastWords,
    /// Why it failed; then it is not on the wire any more.
    pub(crate) fate: Option<StreamError>,
    pub(crate) inbox: Inbox,
    pub(crate) recv: RecvWindow,
    pub(crate) send: SendWindow,
    /// Written, but not framed yet.
    pub(crate) pending: BytesMut,
    pub(crate) reader: Option<Waker>,
    pub(crate) writer: Option<Waker>,
    /// By when the peer has to do what its state asks for.
    pub(crate) deadline: Option<Instant>,
    /// Ours, until the peer accepts it.
    pub(crate) permit: Option<OwnedSemaphorePermit>,
}

impl Stream {
    fn new(id: u32, serial: u32, origin: Origin) -> Stream {
        Stream {
            id,
            serial,
            origin,
            local: Half::Open,
            finished: false,
            heard: false,
            held: false,
            queued: false,
            last_words: LastWords::Reset,
            fate: None,
            inbox: Inbox::default(),
            recv: RecvWindow::new(),
            send: SendWindow::new(),
            pending: BytesMut::new(),
            reader: None,
            writer: None,
            deadline: None,
            permit: None,
        }
    }

    /// Opened by the peer, and nothing has come on it: neither a byte nor the end.
    pub(crate) fn is_silent(&self) -> bool {
        self.origin != Origin::Ours && !self.heard && !self.finished
    }

    /// Neither side will send on it again.
    pub(crate) fn is_over(&self) -> bool {
        self.fate.is_some() || (self.finished && self.local == Half::Closed)
    }
}

/// All streams of a session.
#[derive(Debug, Default)]
pub(crate) struct Table {
    slots: Vec<Option<Box<Stream>>>,
    free: Vec<u32>,
    ids: BTreeMap<u32, Key>,
    serial: u32,
    graves: Graves,
}

impl Table {
    /// How many streams are open on the wire.
    pub(crate) fn open(&self) -> usize {
        self.ids.len()
    }

    pub(crate) fn find(&self, id: u32) -> Option<Key> {
        self.ids.get(&id).copied()
    }

    pub(crate) fn get(&self, key: Key) -> Option<&Stream> {
        let stream = self.slots.get(key.index())?.as_deref()?;
        (stream.serial == key.serial).then_some(stream)
    }

    pub(crate) fn get_mut(&mut self, key: Key) -> Option<&mut Stream> {
        let stream = self.slots.get_mut(key.index())?.as_deref_mut()?;
        (stream.serial == key.serial).then_some(stream)
    }

    pub(crate) fn insert(&mut self, id: u32, origin: Origin) -> (Key, &mut Stream) {
        self.graves.open(id);
        self.serial = self.serial.wrapping_add(1);
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots.push(None);
            // Streams are limited to far fewer than 2^32.
            u32::try_from(self.slots.len() - 1).unwrap_or(u32::MAX)
        });
        let key = Key {
            slot,
            serial: self.serial,
        };
        self.ids.insert(id, key);
        let stream = Box::new(Stream::new(id, key.serial, origin));
        (key, self.slots[key.index()].insert(stream))
    }

    /// Takes the stream off the wire; its application may still hold it.
    pub(crate) fn unlist(&mut self, key: Key) {
        if let Some(stream) = self.get(key) {
            let id = stream.id;
            if self.find(id) == Some(key) {
                self.ids.remove(&id);
            }
        }
    }

    /// Forgets the stream altogether.
    pub(crate) fn remove(&mut self, key: Key) -> Option<Box<Stream>> {
        self.get(key)?;
        self.unlist(key);
        let stream = self.slots[key.index()].take();
        self.free.push(key.slot);
        if self.free.len() == self.slots.len() {
            self.slots = Vec::new();
            self.free = Vec::new();
        }
        stream
    }

    pub(crate) fn keys(&self) -> Vec<Key> {
        let key = |(slot, stream): (usize, &Option<Box<Stream>>)| {
            Some(Key {
                slot: u32::try_from(slot).ok()?,
                serial: stream.as_ref()?.serial,
            })
        };
        self.slots.iter().enumerate().filter_map(key).collect()
    }

    pub(crate) fn streams(&self) -> impl Iterator<Item = &Stream> {
        self.slots.iter().filter_map(Option::as_deref)
    }

    pub(crate) fn graves(&mut self) -> &mut Graves {
        &mut self.graves
    }
}

/// Streams that we reset not long ago: what the peer had sent before it knew is no offence.
#[derive(Debug, Default)]
pub(crate) struct Graves {
    order: VecDeque<u32>,
    left: BTreeMap<u32, Allowance>,
}

#[derive(Debug)]
struct Allowance {
    bytes: u32,
    frames: u8,
}

/// How many are remembered: all streams of a full session.
const GRAVES: usize = super::config::MAX_STREAMS;
/// Frames without payload that a peer may still send on each.
const LATE_FRAMES: u8 = 4;

impl Graves {
    /// How many are remembered.
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }

    /// Remembers a stream on which the peer could still send `bytes`.
    pub(crate) fn bury(&mut self, id: u32, bytes: u32) {
        let frames = LATE_FRAMES;
        if self.left.insert(id, Allowance { bytes, frames }).is_none() {
            self.order.push_back(id);
        }
        while self.order.len() > GRAVES
            && let Some(oldest) = self.order.pop_front()
        {
            self.left.remove(&oldest);
        }
    }

    fn open(&mut self, id: u32) {
        // Its place in `order` stays and forgets a namesake too early, at worst.
        self.left.remove(&id);
    }

    /// Whether a frame with `length` bytes of payload may still come.
    pub(crate) fn allows(&mut self, id: u32, length: u32) -> bool {
        let Some(left) = self.left.get_mut(&id) else {
            return false;
        };
        let (bytes, frames) = match length {
            0 => (Some(left.bytes), left.frames.checked_sub(1)),
            n => (left.bytes.checked_sub(n), Some(left.frames)),
        };
        match (bytes, frames) {
            (Some(bytes), Some(frames)) => {
                *left = Allowance { bytes, frames };
                true
            }
            _ => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_means_one_stream_only() {
        let mut table = Table::default();
        let (first, _) = table.insert(1, Origin::Ours);
        assert_eq!(table.find(1), Some(first));
        table.remove(first);
        let (second, _) = table.insert(1, Origin::Ours);
        assert_eq!(first.slot, second.slot);
        assert!(table.get(first).is_none());
        assert!(table.remove(first).is_none());
        assert_eq!(table.get(second).map(|stream| stream.id), Some(1));
        assert_eq!(table.keys(), [second]);
    }

    #[test]
    fn late_frames_are_borne_within_reason() {
        let mut graves = Graves::default();
        graves.bury(1, 10);
        assert!(graves.allows(1, 10));
        assert!(!graves.allows(1, 1));
        assert!((0..LATE_FRAMES).all(|_| graves.allows(1, 0)));
        assert!(!graves.allows(1, 0));
        assert!(!graves.allows(2, 0));
    }

    #[test]
    fn the_oldest_is_forgotten() {
        let mut graves = Graves::default();
        for id in 0..=4096 {
            graves.bury(id, 1);
        }
        assert!(!graves.allows(0, 1));
        assert!(graves.allows(1, 1));
        assert_eq!(graves.order.len(), GRAVES);
    }
}
