//! A server that is ours but for one thing: a proxy that changes what ours says.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::compare::{INDEXES, POSITIONS};
use super::dice::Dice;
use super::scan::{Replies, token};
use super::yamux::{DATA, HEADER, Head};

/// What is changed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    Nothing,
    /// One byte of a value that is compared.
    Byte,
    /// A letter in the key of a map.
    Key,
    /// The width of an integer, whose value stays.
    Width,
    /// A letter of an error text.
    Text,
    /// The highest flags, wherever they are: a bug as one may be.
    Flags,
}

/// What all connections share.
struct Shared {
    fault: Fault,
    dice: Dice,
    /// So many replies that could be changed are let pass.
    spared: usize,
}

/// A proxy in front of a server. It ends with this value.
pub(crate) struct Proxy {
    addr: SocketAddr,
    changed: Arc<AtomicUsize>,
    _serving: JoinSet<()>,
}

impl Proxy {
    /// Changes one reply, or with [`Fault::Flags`] every one that has them.
    pub(crate) async fn start(server: SocketAddr, fault: Fault, seed: u64) -> Proxy {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let addr = listener.local_addr().expect("it is bound");
        let mut dice = Dice::new(seed);
        let spared = dice.below(SPARED);
        let shared = Arc::new(Mutex::new(Shared {
            fault,
            dice,
            spared,
        }));
        let changed = Arc::new(AtomicUsize::new(0));
        let counter = Arc::clone(&changed);
        let mut serving = JoinSet::new();
        serving.spawn(async move {
            let mut conns = JoinSet::new();
            while let Ok((near, _)) = listener.accept().await {
                while conns.try_join_next().is_some() {}
                conns.spawn(serve(
                    near,
                    server,
                    Arc::clone(&shared),
                    Arc::clone(&counter),
                ));
            }
        });
        Proxy {
            addr,
            changed,
            _serving: serving,
        }
    }

    pub(crate) fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// How many replies were changed.
    pub(crate) fn changed(&self) -> usize {
        self.changed.load(Ordering::Relaxed)
    }
}

/// At most so many replies pass before one is changed.
const SPARED: usize = 12;
/// No first byte yet.
const UNKNOWN: u8 = 0xff;

async fn serve(
    near: TcpStream,
    server: SocketAddr,
    shared: Arc<Mutex<Shared>>,
    changed: Arc<AtomicUsize>,
) {
    let Ok(far) = TcpStream::connect(server).await else {
        return;
    };
    // Both are shut down by hand, and a delay would change how an end looks.
    _ = (near.set_nodelay(true), far.set_nodelay(true));
    let first = Arc::new(AtomicU8::new(UNKNOWN));
    let ((near_reads, near_writes), (far_reads, far_writes)) =
        (near.into_split(), far.into_split());
    let asks = ask(near_reads, far_writes, Arc::clone(&first));
    let mut rewriter = Rewriter {
        shared,
        changed,
        replies: Replies::default(),
        held: Vec::new(),
    };
    let answers = rewriter.answer(far_reads, near_writes, first);
    let mut asking = JoinSet::new();
    asking.spawn(asks);
    answers.await;
}

/// Passes on what the client says, unchanged.
async fn ask(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, first: Arc<AtomicU8>) {
    let mut chunk = vec![0; 64 << 10];
    while let Ok(count @ 1..) = from.read(&mut chunk).await {
        if first.load(Ordering::Relaxed) == UNKNOWN {
            first.store(chunk[0], Ordering::Relaxed);
        }
        if to.write_all(&chunk[..count]).await.is_err() {
            return;
        }
    }
    // The server may be gone already.
    _ = to.shutdown().await;
}

struct Rewriter {
    shared: Arc<Mutex<Shared>>,
    changed: Arc<AtomicUsize>,
    replies: Replies,
    held: Vec<u8>,
}

impl Rewriter {
    async fn answer(
        &mut self,
        mut from: OwnedReadHalf,
        mut to: OwnedWriteHalf,
        first: Arc<AtomicU8>,
    ) {
        let mut chunk = vec![0; 64 << 10];
        loop {
            match from.read(&mut chunk).await {
                Ok(0) => break,
                Ok(count) => self.held.extend_from_slice(&chunk[..count]),
                Err(_) => {
                    // As abruptly as the server: without a FIN before.
                    _ = to.as_ref().set_zero_linger();
                    to.forget();
                    return;
                }
            }
            let pass = match first.load(Ordering::Relaxed) {
                0 => self.plain(),
                4 => self.frames(),
                _ => std::mem::take(&mut self.held),
            };
            if to.write_all(&pass).await.is_err() {
                return;
            }
        }
        // The client may be gone already.
        _ = to.write_all(&self.held).await;
        _ = to.shutdown().await;
    }

    /// Whole replies, one of which may be changed.
    fn plain(&mut self) -> Vec<u8> {
        let mut pass = Vec::new();
        while self.replies.count(&self.held) > 0 {
            let size = reply_size(&self.held);
            let rest = self.held.split_off(size);
            let reply = std::mem::replace(&mut self.held, rest);
            self.replies = Replies::default();
            pass.extend(self.change(&reply).unwrap_or(reply));
        }
        pass
    }

    /// Whole frames. A data frame that is one reply may be changed.
    fn frames(&mut self) -> Vec<u8> {
        let mut pass = Vec::new();
        let held = std::mem::take(&mut self.held);
        let mut left = &held[..];
        while let Ok((mut head, data, rest)) = Head::split(left) {
            let is_reply = head.kind == DATA
                && Replies::default().count(data) == 1
                && reply_size(data) == data.len();
            let changed = if is_reply { self.change(data) } else { None };
            match changed {
                Some(data) => {
                    head.length = u32::try_from(data.len()).expect("a frame");
                    head.write(&mut pass);
                    pass.extend(data);
                }
                None => pass.extend_from_slice(&left[..HEADER + data.len()]),
            }
            left = rest;
        }
        self.held = left.to_vec();
        pass
    }

    fn change(&mut self, reply: &[u8]) -> Option<Vec<u8>> {
        let mut shared = self.shared.lock().unwrap_or_else(PoisonError::into_inner);
        let changed = shared.change(reply)?;
        self.changed.fetch_add(1, Ordering::Relaxed);
        Some(changed)
    }
}

/// The bytes of header and body.
fn reply_size(bytes: &[u8]) -> usize {
    let mut at = 0;
    let mut missing = 2;
    while let (1.., Some(token)) = (missing, bytes.get(at..).and_then(token)) {
        at += token.size;
        missing = missing - 1 + token.parts;
    }
    at
}

impl Shared {
    fn change(&mut self, reply: &[u8]) -> Option<Vec<u8>> {
        if self.fault == Fault::Flags {
            return other_flags(reply);
        }
        let leaves = leaves(reply);
        let able: Vec<&Leaf> = leaves
            .iter()
            .filter(|leaf| self.fault.fits(leaf, reply))
            .collect();
        if able.is_empty() {
            return None;
        }
        if self.spared > 0 {
            self.spared -= 1;
            return None;
        }
        let leaf = *self.dice.pick(&able);
        let changed = self.fault.apply(leaf, reply);
        self.fault = Fault::Nothing;
        Some(changed)
    }
}

/// Flags of nothing but ones, one less.
fn other_flags(reply: &[u8]) -> Option<Vec<u8>> {
    const FLAGS: &[u8] = b"\xa5Flags\xcf\xff\xff\xff\xff\xff\xff\xff\xff";
    let at = reply
        .windows(FLAGS.len())
        .position(|window| window == FLAGS)?;
    let mut changed = reply.to_vec();
    changed[at + FLAGS.len() - 1] = 0xfe;
    Some(changed)
}

/// A value without parts, or the key of a map.
#[derive(Debug)]
struct Leaf {
    from: usize,
    to: usize,
    is_key: bool,
    /// The key that it stands under, or that it is.
    name: Vec<u8>,
}

fn leaves(reply: &[u8]) -> Vec<Leaf> {
    let mut leaves = Vec::new();
    let mut at = 0;
    while at < reply.len() && walk(reply, &mut at, b"", &mut leaves).is_some() {}
    leaves
}

fn walk(reply: &[u8], at: &mut usize, name: &[u8], leaves: &mut Vec<Leaf>) -> Option<()> {
    let token = token(&reply[*at..])?;
    let (from, marker) = (*at, reply[*at]);
    *at += token.size;
    let is_map = matches!(marker, 0x80..=0x8f | 0xde | 0xdf);
    let is_list = matches!(marker, 0x90..=0x9f | 0xdc | 0xdd);
    if is_list {
        return (0..token.parts).try_for_each(|_| walk(reply, at, name, leaves));
    }
    if !is_map {
        leaves.push(Leaf {
            from,
            to: *at,
            is_key: false,
            name: name.to_vec(),
        });
        return Some(());
    }
    for _ in 0..token.parts / 2 {
        // Keys of replies are short texts.
        let (from, size) = (*at, super::scan::token(&reply[*at..])?.size);
        *at += size;
        let name = reply[from + 1..*at].to_vec();
        leaves.push(Leaf {
            from,
            to: *at,
            is_key: true,
            name: name.clone(),
        });
        walk(reply, at, &name, leaves)?;
    }
    Some(())
}

impl Fault {
    fn fits(self, leaf: &Leaf, reply: &[u8]) -> bool {
        let bytes = &reply[leaf.from..leaf.to];
        let name = String::from_utf8_lossy(&leaf.name);
        let is_number = matches!(bytes[0], 0x00..=0x7f | 0xcc..=0xce);
        match self {
            Fault::Nothing | Fault::Flags => false,
            Fault::Key => leaf.is_key,
            Fault::Width => !leaf.is_key && is_number,
            Fault::Text => !leaf.is_key && name == "Error" && bytes.len() > 1,
            // Which numbers indexes are is not compared, and what they are otherwise is.
            Fault::Byte => {
                let is_masked = INDEXES.iter().chain(&POSITIONS).any(|index| name == *index);
                !leaf.is_key && !is_masked
            }
        }
    }

    fn apply(self, leaf: &Leaf, reply: &[u8]) -> Vec<u8> {
        let (before, rest) = reply.split_at(leaf.from);
        let (value, behind) = rest.split_at(leaf.to - leaf.from);
        let mut value = value.to_vec();
        let last = value.len() - 1;
        match (self, value[0]) {
            (Fault::Width, 0x00..=0x7f) => value.insert(0, 0xcc),
            (Fault::Width, marker) => {
                let zeros: usize = 1 << (marker - 0xcc);
                value[0] = marker + 1;
                value.splice(1..1, vec![0; zeros]);
            }
            // A text that is empty gets another type, and so does nil.
            (Fault::Byte, 0xa0) => value[0] = 0xc0,
            (Fault::Byte, 0xc0) => value[0] = 0xa0,
            _ => value[last] ^= 1,
        }
        [before, &value, behind].concat()
    }
}

#[test]
fn each_fault_changes_what_it_says() {
    let reply = b"\x83\xa5Error\xa2no\xa3Seq\x07\xadServiceMethod\xa1m\x81\xa5Index\xcd\x01\x00";
    let changed = |fault: Fault| -> Vec<Vec<u8>> {
        let leaves = leaves(reply);
        let able = leaves.iter().filter(|leaf| fault.fits(leaf, reply));
        able.map(|leaf| fault.apply(leaf, reply)).collect()
    };
    let counts =
        [Fault::Byte, Fault::Key, Fault::Width, Fault::Text].map(|fault| changed(fault).len());
    assert_eq!(counts, [3, 4, 2, 1]);
    assert!(changed(Fault::Text)[0].starts_with(b"\x83\xa5Error\xa2nn"));
    assert!(changed(Fault::Width)[1].ends_with(b"\xce\x00\x00\x01\x00"));
    assert!(
        changed(Fault::Byte)
            .iter()
            .all(|changed| changed.len() == reply.len())
    );
}
