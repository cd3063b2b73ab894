//! A memory for decisions that take time.

use std::{
    collections::HashMap,
    fmt,
    future::Future,
    hash::Hash,
    mem,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, ready},
    time::Duration,
};

use oneport_proto::{Head, Refusal, Token};
use pin_project_lite::pin_project;
use tokio::time::Instant;

use super::authorize::{Authorize, Decision, Verdict};

/// How many callers let in are remembered at most, and as many who were refused.
pub const CACHED: usize = 8192;
/// For how long they are remembered: Consul's `acl.token_ttl`.
pub const CACHED_FOR: Duration = Duration::from_secs(30);

/// Remembers what another [`Authorize`] decided after a while, so that it is asked again only when
/// that is old. What it decides at once is not remembered.
///
/// Callers let in and callers refused are remembered apart, so a flood of bad tokens does not make
/// good ones forgotten. What is not a decision about the caller, a time-out for example, is not
/// remembered. Calls that come while the first one of their caller is being decided ask too: each
/// has its own time and may be abandoned, so none waits for another's question. How many ask at once
/// is what the bound on calls in flight, which stands before auth, lets through.
pub struct Cached<A, K> {
    inner: A,
    key: fn(&Head) -> Option<K>,
    memory: Arc<Memory<K>>,
}

impl<A: Authorize> Cached<A, Option<Token>> {
    /// For decisions that depend on the token alone.
    pub fn by_token(inner: A) -> Self {
        Cached::by(inner, |head| Some(head.token.clone()))
    }
}

impl<A: Authorize, K: Hash + Eq> Cached<A, K> {
    /// For decisions that depend on nothing but a key; a call without one is decided anew.
    pub fn by(inner: A, key: fn(&Head) -> Option<K>) -> Self {
        Cached {
            inner,
            key,
            memory: Arc::new(Memory {
                most: CACHED,
                time: CACHED_FOR,
                verdicts: Mutex::default(),
            }),
        }
    }

    /// With another bound in number and time.
    #[must_use]
    pub fn remember(mut self, most: usize, time: Duration) -> Self {
        self.memory = Arc::new(Memory {
            most,
            time,
            verdicts: Mutex::default(),
        });
        self
    }

    /// Forgets everything: what was decided by old facts.
    pub fn forget(&self) {
        *self.memory.lock() = Verdicts::default();
    }
}

impl<A, K> Authorize for Cached<A, K>
where
    A: Authorize,
    K: Hash + Eq + Send + 'static,
{
    type Future = Remembering<A::Future, K>;

    fn authorize(&self, head: &Head) -> Decision<Self::Future> {
        let key = (self.key)(head);
        if let Some(known) = key.as_ref().and_then(|key| self.memory.get(key, head.at)) {
            return Decision::Now(known);
        }
        match self.inner.authorize(head) {
            Decision::Now(verdict) => Decision::Now(verdict),
            Decision::Later(deciding) => Decision::Later(Remembering {
                deciding,
                memory: key.map(|key| (key, Arc::clone(&self.memory))),
            }),
        }
    }
}

impl<A: fmt::Debug, K> fmt::Debug for Cached<A, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Cached")
            .field("inner", &self.inner)
            .finish_non_exhaustive()
    }
}

pin_project! {
    /// A decision that will be remembered.
    pub struct Remembering<F, K> {
        #[pin]
        deciding: F,
        memory: Option<(K, Arc<Memory<K>>)>,
    }
}

impl<F, K> Future for Remembering<F, K>
where
    F: Future<Output = Verdict>,
    K: Hash + Eq,
{
    type Output = Verdict;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Verdict> {
        let this = self.project();
        let verdict = ready!(this.deciding.poll(cx));
        if let Some((key, memory)) = this.memory.take() {
            memory.put(key, &verdict, Instant::now());
        }
        Poll::Ready(verdict)
    }
}

impl<F, K> fmt::Debug for Remembering<F, K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Remembering").finish_non_exhaustive()
    }
}

/// What is remembered.
struct Memory<K> {
    most: usize,
    time: Duration,
    verdicts: Mutex<Verdicts<K>>,
}

struct Verdicts<K> {
    let_in: Generations<K>,
    refused: Generations<K>,
}

/// What was learnt lately and what before that. When the younger half is full it becomes the older
/// one, whose contents go: a bound without any order to keep.
struct Generations<K> {
    young: HashMap<K, (Verdict, Instant)>,
    old: HashMap<K, (Verdict, Instant)>,
}

impl<K> Memory<K> {
    fn lock(&self) -> std::sync::MutexGuard<'_, Verdicts<K>> {
        self.verdicts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K: Hash + Eq> Memory<K> {
    fn get(&self, key: &K, now: Instant) -> Option<Verdict> {
        let verdicts = self.lock();
        let both = [&verdicts.let_in, &verdicts.refused];
        let mut known = both.into_iter().filter_map(|known| known.get(key));
        let fresh = |since: Instant| now.saturating_duration_since(since) < self.time;
        let found = known.find(|(_, since)| fresh(*since));
        found.map(|(verdict, _)| verdict.clone())
    }

    fn put(&self, key: K, verdict: &Verdict, now: Instant) {
        let mut verdicts = self.lock();
        let which = match verdict {
            Ok(_) => &mut verdicts.let_in,
            Err(Refusal::Denied(_) | Refusal::UnknownToken) => &mut verdicts.refused,
            Err(_) => return,
        };
        which.put(key, (verdict.clone(), now), self.most);
    }
}

impl<K: Hash + Eq> Generations<K> {
    fn get(&self, key: &K) -> Option<&(Verdict, Instant)> {
        self.young.get(key).or_else(|| self.old.get(key))
    }

    fn put(&mut self, key: K, known: (Verdict, Instant), most: usize) {
        if self.young.len() >= most.div_ceil(2) {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(key, known);
    }
}

impl<K> Default for Verdicts<K> {
    fn default() -> Self {
        Verdicts {
            let_in: Generations::default(),
            refused: Generations::default(),
        }
    }
}

impl<K> Default for Generations<K> {
    fn default() -> Self {
        Generations {
            young: HashMap::new(),
            old: HashMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};

    use oneport_proto::{Denial, Family, Identity, Method, Session};
    use tokio::time::advance;

    use super::*;

    /// Lets in whose token begins with "good", is out of order for "broken", and takes its time.
    #[derive(Default)]
    struct Directory {
        asked: AtomicUsize,
    }

    type Deciding = Pin<Box<dyn Future<Output = Verdict> + Send>>;

    impl Authorize for Directory {
        type Future = Deciding;

        fn authorize(&self, head: &Head) -> Decision<Deciding> {
            self.asked.fetch_add(1, Relaxed);
            let secret = head.token.as_ref().map(Token::secret);
            let verdict = match secret {
                Some(secret) if secret.starts_with(b"good") => Ok(Some(Identity::new("good"))),
                Some(b"broken") => Err(Refusal::Timeout),
                _ => Err(Refusal::Denied(Denial::Plain)),
            };
            Decision::Later(Box::pin(async {
                tokio::task::yield_now().await;
                verdict
            }))
        }
    }

    struct Asker(Cached<Directory, Option<Token>>);

    impl Asker {
        fn new(most: usize) -> Asker {
            Asker(Cached::by_token(Directory::default()).remember(most, CACHED_FOR))
        }

        /// Whether the holder of `token` is let in, and whether the directory was asked.
        async fn ask(&self, token: &str) -> (bool, bool) {
            let before = self.0.inner.asked.load(Relaxed);
            let method = Method::Unknown(Family::NetRpc);
            let mut head = Head::new(method, Session::in_process(), Instant::now());
            head.token = Token::new(token.as_bytes());
            let verdict = match self.0.authorize(&head) {
                Decision::Now(verdict) => verdict,
                Decision::Later(deciding) => deciding.await,
            };
            (verdict.is_ok(), self.0.inner.asked.load(Relaxed) > before)
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a_decision_is_remembered_for_its_time() {
        let asker = Asker::new(CACHED);
        for (token, good) in [("good", true), ("bad", false), ("", false)] {
            assert_eq!(asker.ask(token).await, (good, true));
            assert_eq!(asker.ask(token).await, (good, false));
        }
        advance(CACHED_FOR - Duration::from_nanos(1)).await;
        assert_eq!(asker.ask("good").await, (true, false));
        advance(Duration::from_nanos(1)).await;
        assert_eq!(asker.ask("good").await, (true, true));
        asker.0.forget();
        assert_eq!(asker.ask("good").await, (true, true));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_decision_is_not_remembered() {
        let asker = Asker::new(CACHED);
        assert_eq!(asker.ask("broken").await, (false, true));
        assert_eq!(asker.ask("broken").await, (false, true));
    }

    #[tokio::test(start_paused = true)]
    async fn memory_is_bounded_and_bad_tokens_do_not_push_out_good_ones() {
        let asker = Asker::new(10);
        asker.ask("good").await;
        for n in 0..1000 {
            asker.ask(&format!("bad {n}")).await;
        }
        assert_eq!(asker.ask("good").await, (true, false));
        for n in 0..1000 {
            asker.ask(&format!("good {n}")).await;
        }
        assert_eq!(asker.ask("good").await, (true, true));
        let verdicts = asker.0.memory.lock();
        for known in [&verdicts.let_in, &verdicts.refused] {
            assert!(known.young.len() + known.old.len() <= 10);
        }
    }
}
