//! The buckets, and what they say about a call.

use std::{
    cell::Cell,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU8, Ordering::Relaxed},
    },
    time::Duration,
};

use metrics::counter;
use oneport_proto::{Class, Family, Head, Method, Peer, Refusal, Retry, Scope};
use tracing::warn;

use super::limits::{Limits, Mode};
use crate::{
    bucket::{Bucket, Buckets, Clock, Limit, Rate},
    source::Source,
};

/// Calls that were over a limit, by `limit_type`, `op` and `mode`: Consul's name, without the
/// telemetry prefix.
pub const EXCEEDED: &str = "rpc.rate_limit.exceeded";
/// Lines about such calls that were not logged, because there were too many.
pub const LOG_DROPPED: &str = "rpc.rate_limit.log_dropped";

/// How many busy sources a [`Limiter`] remembers: 2 MiB, however many come.
pub const SOURCES: usize = 131_072;
/// How many busy identities a [`Limiter`] remembers: 256 KiB.
pub const IDENTITIES: usize = 16_384;
/// How many lines a second a [`Limiter`] logs at most; the others are counted.
pub const LOG_LINES: u32 = 10;

/// The buckets of a server and their limits. One is shared by all layers that enforce it.
#[derive(Debug)]
pub struct Limiter {
    rpc: Bucket,
    read: Bucket,
    write: Bucket,
    sources: Buckets,
    identities: Buckets,
    mode: AtomicU8,
    leader: AtomicBool,
    log: Bucket,
    /// What all buckets count from.
    clock: Clock,
    /// What was set last: for whoever asks, not for deciding.
    set: Mutex<Limits>,
}

/// A limit that a call is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Over {
    limit: Kind,
    wait: Duration,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rpc,
    Read,
    Write,
    Source,
    Identity,
}

impl Kind {
    const fn scope(self) -> Scope {
        match self {
            Kind::Rpc => Scope::Global,
            Kind::Read | Kind::Write => Scope::Class,
            Kind::Source => Scope::Source,
            Kind::Identity => Scope::Identity,
        }
    }

    /// The metric label: Consul's where it has one.
    const fn label(self) -> &'static str {
        match self {
            Kind::Rpc => "rpc",
            Kind::Read => "global/read",
            Kind::Write => "global/write",
            Kind::Source => "source",
            Kind::Identity => "identity",
        }
    }
}

impl Limiter {
    /// A limiter with full buckets.
    pub fn new(limits: Limits) -> Limiter {
        let clock = Clock::start();
        Limiter {
            rpc: Bucket::on(clock, limits.rpc),
            read: Bucket::on(clock, limits.read),
            write: Bucket::on(clock, limits.write),
            sources: Buckets::on(clock, limits.source, SOURCES),
            identities: Buckets::on(clock, limits.identity, IDENTITIES),
            clock,
            mode: AtomicU8::new(code(limits.mode)),
            leader: AtomicBool::new(false),
            log: Bucket::new(lines()),
            set: Mutex::new(limits),
        }
    }

    /// Changes the limits, for all that use this limiter and at once. Nothing that was taken is
    /// forgotten, so that setting the same limits again changes nothing.
    pub fn set(&self, limits: Limits) {
        let mut set = self.set.lock().unwrap_or_else(PoisonError::into_inner);
        self.rpc.set(limits.rpc);
        self.read.set(limits.read);
        self.write.set(limits.write);
        self.sources.set(limits.source);
        self.identities.set(limits.identity);
        self.mode.store(code(limits.mode), Relaxed);
        *set = limits;
    }

    /// The limits that hold.
    pub fn limits(&self) -> Limits {
        *self.set.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Says whether this server is the leader of its cluster; at first it is not. Who is refused a
    /// write by the leader is told to come back later, everybody else to try another server.
    pub fn set_leader(&self, leader: bool) {
        self.leader.store(leader, Relaxed);
    }

    /// Whether a call may pass, as far as it is known before its caller is: all limits but that of
    /// its identity.
    ///
    /// # Errors
    /// [`Refusal::RateLimited`] by the first limit that it is over, in the order source, class, all.
    #[inline]
    pub fn check(&self, head: &Head) -> Result<(), Refusal> {
        if is_exempt(&head.method) {
            return Ok(());
        }
        let now = self.now(head);
        let mode = self.mode();
        if mode != Mode::Disabled
            && let Err(over) = self.requests(head, &now)
        {
            self.verdict(head, over, mode)?;
        }
        match self.rpc.take_at(now) {
            Ok(()) => Ok(()),
            Err(wait) => self.verdict(head, Over::new(Kind::Rpc, wait), Mode::Enforcing),
        }
    }

    /// Whether a call may pass as one of its identity.
    ///
    /// # Errors
    /// [`Refusal::RateLimited`].
    #[inline]
    pub fn check_identity(&self, head: &Head) -> Result<(), Refusal> {
        let mode = self.mode();
        if is_exempt(&head.method) || mode == Mode::Disabled {
            return Ok(());
        }
        let name = head.identity.get().map(|identity| identity.name());
        match self.identities.take(&name, head.at) {
            Ok(()) => Ok(()),
            Err(wait) => self.verdict(head, Over::new(Kind::Identity, wait), mode),
        }
    }

    /// When the call was read, by the clock of the buckets: worked out at most once.
    #[inline]
    fn now(&self, head: &Head) -> impl Fn() -> u64 {
        let (clock, at, ticks) = (self.clock, head.at, Cell::new(None));
        move || {
            ticks.get().unwrap_or_else(|| {
                let now = clock.ticks(at);
                ticks.set(Some(now));
                now
            })
        }
    }

    #[inline]
    fn mode(&self) -> Mode {
        match self.mode.load(Relaxed) {
            0 => Mode::Disabled,
            1 => Mode::Permissive,
            _ => Mode::Enforcing,
        }
    }

    /// The limits that the mode is about.
    #[inline]
    fn requests(&self, head: &Head, now: impl Fn() -> u64 + Copy) -> Result<(), Over> {
        self.source(&head.session.peer, now)?;
        let (bucket, kind) = match class_of(&head.method) {
            Class::Read => (&self.read, Kind::Read),
            Class::Write => (&self.write, Kind::Write),
            Class::Exempt => return Ok(()),
        };
        bucket.take_at(now).map_err(|wait| Over::new(kind, wait))
    }

    #[inline]
    fn source(&self, peer: &Peer, now: impl FnOnce() -> u64) -> Result<(), Over> {
        let Some(source) = Source::of(peer) else {
            return Ok(());
        };
        let taken = self.sources.take_at(&source, now);
        taken.map_err(|wait| Over::new(Kind::Source, wait))
    }

    /// Counts and logs a call that is over a limit; refuses it if the mode says so.
    #[cold]
    fn verdict(&self, head: &Head, over: Over, mode: Mode) -> Result<(), Refusal> {
        let (kind, op, mode_name) = (over.limit, head.method.name(), mode.name());
        counter!(EXCEEDED, "limit_type" => kind.label(), "op" => op, "mode" => mode_name)
            .increment(1);
        if self.log.take(head.at).is_ok() {
            let peer = &head.session.peer;
            let limit = kind.label();
            warn!(%peer, op, limit, mode = mode_name, "call exceeds a rate limit");
        } else {
            counter!(LOG_DROPPED).increment(1);
        }
        if mode != Mode::Enforcing {
            return Ok(());
        }
        Err(Refusal::RateLimited {
            scope: kind.scope(),
            retry: retry(kind, class_of(&head.method), self.leader.load(Relaxed)),
            retry_after: Some(over.wait),
        })
    }
}

impl Over {
    fn new(limit: Kind, wait: Duration) -> Over {
        Over { limit, wait }
    }
}

/// What a refused caller may do: Consul's rule.
fn retry(limit: Kind, class: Class, leader: bool) -> Retry {
    match (limit, class, leader) {
        (Kind::Rpc, _, _) => Retry::Slower,
        (_, Class::Write, true) => Retry::Later,
        _ => Retry::Elsewhere,
    }
}

/// The class that a call is counted in.
fn class_of(method: &Method) -> Class {
    match method {
        Method::Known(info) => info.class,
        Method::Unknown(_) => Class::Read,
    }
}

/// Whether nothing limits this method. A connection reads and writes nothing, so it is of neither
/// class; whoever puts a limiter in front of connections means them nevertheless.
fn is_exempt(method: &Method) -> bool {
    class_of(method) == Class::Exempt && !matches!(method.family(), Family::Connection)
}

const fn code(mode: Mode) -> u8 {
    match mode {
        Mode::Disabled => 0,
        Mode::Permissive => 1,
        Mode::Enforcing => 2,
    }
}

fn lines() -> Limit {
    Limit {
        rate: Rate::per_second(f64::from(LOG_LINES)).unwrap_or(Rate::INFINITE),
        burst: LOG_LINES,
    }
}

#[cfg(test)]
mod tests {
    use metrics_util::debugging::{DebugValue, DebuggingRecorder};
    use oneport_proto::{Identity, Local, MethodInfo, Session};
    use tokio::time::Instant;

    use super::*;

    fn limit(burst: u32) -> Limit {
        Limit {
            rate: Rate::per_second(1.0).unwrap(),
            burst,
        }
    }

    fn method(class: Class) -> Method {
        let name = match class {
            Class::Read => "Limiter.Read",
            Class::Write => "Limiter.Write",
            Class::Exempt => "Limiter.Exempt",
        };
        Method::Known(MethodInfo::intern(Family::NetRpc, name, class).unwrap())
    }

    fn from(peer: &str, class: Class) -> Head {
        let peer = match peer {
            "" => Peer::Local,
            peer => Peer::Tcp(peer.parse().unwrap()),
        };
        let session = Session::new(peer, Local::InProcess);
        Head::new(method(class), session, Instant::now())
    }

    /// What the call's refusal is, in short.
    fn told(refused: Result<(), Refusal>) -> Option<(Scope, Retry)> {
        match refused {
            Ok(()) => None,
            Err(Refusal::RateLimited { scope, retry, .. }) => Some((scope, retry)),
            Err(other) => panic!("{other}"),
        }
    }

    fn read() -> Head {
        from("", Class::Read)
    }

    fn write() -> Head {
        from("", Class::Write)
    }

    #[tokio::test(start_paused = true)]
    async fn nothing_is_limited_by_default() {
        let limiter = Limiter::new(Limits::default());
        for _ in 0..10_000 {
            assert_eq!(limiter.check(&from("10.0.0.1:1", Class::Write)), Ok(()));
            assert_eq!(limiter.check_identity(&read()), Ok(()));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn reads_and_writes_have_their_own_limits_and_texts() {
        let limiter = Limiter::new(Limits {
            mode: Mode::Enforcing,
            read: limit(2),
            write: limit(1),
            ..Limits::default()
        });
        assert_eq!(limiter.check(&write()), Ok(()));
        let elsewhere = Some((Scope::Class, Retry::Elsewhere));
        assert_eq!(told(limiter.check(&write())), elsewhere);
        limiter.set_leader(true);
        let later = Some((Scope::Class, Retry::Later));
        assert_eq!(told(limiter.check(&write())), later);
        assert_eq!(limiter.check(&read()), Ok(()));

        // What nobody knows is a read.
        let mut unknown = read();
        unknown.method = Method::Unknown(Family::NetRpc);
        assert_eq!(limiter.check(&unknown), Ok(()));
        assert_eq!(told(limiter.check(&unknown)), elsewhere);
        assert_eq!(told(limiter.check(&read())), elsewhere);
        assert_eq!(limiter.check(&from("", Class::Exempt)), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_refusal_says_when_to_come_back() {
        let limiter = Limiter::new(Limits {
            rpc: limit(1),
            ..Limits::default()
        });
        limiter.check(&read()).unwrap();
        assert_eq!(
            limiter.check(&read()),
            Err(Refusal::RateLimited {
                scope: Scope::Global,
                retry: Retry::Slower,
                retry_after: Some(Duration::from_secs(1)),
            })
        );
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(limiter.check(&read()), Ok(()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_mode_says_what_is_done() {
        let mut limits = Limits {
            read: limit(1),
            source: limit(1),
            identity: limit(1),
            ..Limits::default()
        };
        let limiter = Limiter::new(limits);
        let head = || from("10.0.0.1:1", Class::Read);
        for mode in [Mode::Disabled, Mode::Permissive] {
            limits.mode = mode;
            limiter.set(limits);
            for _ in 0..10 {
                assert_eq!(limiter.check(&head()), Ok(()), "{mode}");
                assert_eq!(limiter.check_identity(&head()), Ok(()), "{mode}");
            }
        }
        // Permissive counts against the limit, so it holds at once when it is enforced.
        limits.mode = Mode::Enforcing;
        limiter.set(limits);
        assert!(limiter.check(&head()).is_err());
        assert!(limiter.check_identity(&head()).is_err());
        assert_eq!(limiter.limits(), limits);
    }

    #[tokio::test(start_paused = true)]
    async fn a_source_takes_nothing_from_others_by_its_excess() {
        let limiter = Limiter::new(Limits {
            mode: Mode::Enforcing,
            rpc: limit(4),
            source: limit(2),
            ..Limits::default()
        });
        let of = |peer| told(limiter.check(&from(peer, Class::Read)));
        let source = Some((Scope::Source, Retry::Elsewhere));
        assert_eq!(of("[2001:db8::1]:1"), None);
        assert_eq!(of("[2001:db8::2]:1"), None);
        for _ in 0..100 {
            assert_eq!(of("[2001:db8::3]:1"), source);
        }
        assert_eq!(of("[2001:db8:0:1::]:1"), None);
        // Callers on this host have no source.
        assert_eq!(of(""), None);
        assert_eq!(of(""), Some((Scope::Global, Retry::Slower)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_connection_is_held_to_the_limits_of_all_and_of_its_source() {
        let limiter = Limiter::new(Limits {
            mode: Mode::Enforcing,
            rpc: limit(3),
            read: limit(1),
            write: limit(1),
            source: limit(2),
            ..Limits::default()
        });
        let of = |peer| {
            let mut head = from(peer, Class::Read);
            head.method = Method::Known(MethodInfo::accept());
            told(limiter.check(&head))
        };
        assert_eq!((of("10.0.0.1:1"), of("10.0.0.1:2")), (None, None));
        let source = Some((Scope::Source, Retry::Elsewhere));
        assert_eq!(of("10.0.0.1:3"), source);
        assert_eq!(of("10.0.0.2:1"), None);
        assert_eq!(of("10.0.0.2:2"), Some((Scope::Global, Retry::Slower)));
    }

    #[tokio::test(start_paused = true)]
    async fn identities_are_limited_by_name_and_strangers_share() {
        let limiter = Limiter::new(Limits {
            mode: Mode::Enforcing,
            identity: limit(1),
            ..Limits::default()
        });
        let of = |name: &str| {
            let mut head = read();
            if !name.is_empty() {
                head.identity.set(Identity::new(name)).unwrap();
            }
            told(limiter.check_identity(&head))
        };
        let over = Some((Scope::Identity, Retry::Elsewhere));
        assert_eq!((of("ann"), of("ann"), of("bob")), (None, over, None));
        assert_eq!((of(""), of("")), (None, over));
    }

    #[tokio::test(start_paused = true)]
    async fn lines_are_limited_too() {
        let limiter = Limiter::new(Limits {
            rpc: limit(1),
            ..Limits::default()
        });
        let recorder = DebuggingRecorder::new();
        metrics::with_local_recorder(&recorder, || {
            for _ in 0..101 {
                let _refused = limiter.check(&read());
            }
        });
        let counted = recorder.snapshotter().snapshot().into_vec();
        let of = |name: &str| {
            let named = counted.iter().find(|(key, ..)| key.key().name() == name);
            named.map(|(.., value)| value)
        };
        assert_eq!(of(EXCEEDED), Some(&DebugValue::Counter(100)));
        let dropped = 100 - u64::from(LOG_LINES);
        assert_eq!(of(LOG_DROPPED), Some(&DebugValue::Counter(dropped)));
    }
}
