//! The inner service of a layer that is tested.

use std::{
    fmt,
    future::Future,
    panic::resume_unwind,
    pin::Pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering::SeqCst},
    },
    task::{Context, Poll, Waker},
};

use oneport_proto::{BoxError, Refusal};
use tonic::Status;
use tower::Service;

/// A service that does what it is told and remembers what was done to it.
pub struct Probe<T> {
    shared: Arc<Shared<T>>,
    /// Whether this instance said that it was ready, and was not called since.
    ready: bool,
}

struct Shared<T> {
    reply: Box<dyn Fn() -> T + Send + Sync>,
    script: Mutex<Script>,
    /// Who waits for readiness or for an answer.
    waiting: Mutex<Option<Waker>>,
    calls: AtomicUsize,
    unready: AtomicUsize,
    running: AtomicUsize,
}

/// What a probe does.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Script {
    pub(super) ready: Readiness,
    pub(super) panics_in_call: bool,
    /// How often a call's future pends before its answer.
    pub(super) pends: usize,
    pub(super) answer: Answer,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Readiness {
    #[default]
    Now,
    Pends,
    Fails,
    Panics,
}

#[derive(Clone, Copy, Debug, Default)]
pub(super) enum Answer {
    #[default]
    Reply,
    Fails,
    Panics,
}

impl<T> Probe<T> {
    pub(super) fn new(reply: impl Fn() -> T + Send + Sync + 'static) -> Probe<T> {
        Probe {
            shared: Arc::new(Shared {
                reply: Box::new(reply),
                script: Mutex::default(),
                waiting: Mutex::default(),
                calls: AtomicUsize::new(0),
                unready: AtomicUsize::new(0),
                running: AtomicUsize::new(0),
            }),
            ready: false,
        }
    }

    /// Changes what all clones do from now on.
    pub(super) fn script(&self, script: Script) {
        *lock(&self.shared.script) = script;
    }

    /// How often it was called.
    pub(super) fn calls(&self) -> usize {
        self.shared.calls.load(SeqCst)
    }

    /// How often an instance was called that had not said it was ready.
    pub(super) fn unready(&self) -> usize {
        self.shared.unready.load(SeqCst)
    }

    /// How many futures of calls there are.
    pub(super) fn running(&self) -> usize {
        self.shared.running.load(SeqCst)
    }

    /// How many other instances, and futures of calls, there are.
    pub(super) fn others(&self) -> usize {
        Arc::strong_count(&self.shared) - 1
    }

    /// Wakes who waits for it; false if nobody does.
    pub(super) fn wake(&self) -> bool {
        let waiting = lock(&self.shared.waiting).take();
        waiting.map(Waker::wake).is_some()
    }
}

impl<T> Shared<T> {
    fn wait(&self, cx: &Context<'_>) {
        *lock(&self.waiting) = Some(cx.waker().clone());
    }
}

/// A lock that a panic inside it does not break: panics are part of the test.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A clone is not ready.
impl<T> Clone for Probe<T> {
    fn clone(&self) -> Self {
        Probe {
            shared: Arc::clone(&self.shared),
            ready: false,
        }
    }
}

impl<T> fmt::Debug for Probe<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probe")
            .field("ready", &self.ready)
            .finish_non_exhaustive()
    }
}

impl<R, T> Service<R> for Probe<T> {
    type Response = T;
    type Error = BoxError;
    type Future = ProbeFuture<T>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        let ready = lock(&self.shared.script).ready;
        match ready {
            Readiness::Now => {
                self.ready = true;
                Poll::Ready(Ok(()))
            }
            Readiness::Pends => {
                self.shared.wait(cx);
                Poll::Pending
            }
            Readiness::Fails => Poll::Ready(Err(failure())),
            Readiness::Panics => panics(),
        }
    }

    fn call(&mut self, _request: R) -> ProbeFuture<T> {
        self.shared.calls.fetch_add(1, SeqCst);
        if !std::mem::take(&mut self.ready) {
            self.shared.unready.fetch_add(1, SeqCst);
        }
        let script = *lock(&self.shared.script);
        if script.panics_in_call {
            panics();
        }
        self.shared.running.fetch_add(1, SeqCst);
        ProbeFuture {
            shared: Arc::clone(&self.shared),
            left: script.pends,
            answer: script.answer,
        }
    }
}

/// Panics without a line on the terminal: it is part of the test.
fn panics() -> ! {
    resume_unwind(Box::new("the inner service panics, as it was told to"))
}

/// What the probe fails with: a refusal, behind a status.
pub(super) fn failure() -> BoxError {
    Status::from(Refusal::Draining).into()
}

/// A call of a [`Probe`].
pub struct ProbeFuture<T> {
    shared: Arc<Shared<T>>,
    left: usize,
    answer: Answer,
}

impl<T> Future for ProbeFuture<T> {
    type Output = Result<T, BoxError>;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        if self.left > 0 {
            self.left -= 1;
            self.shared.wait(cx);
            return Poll::Pending;
        }
        match self.answer {
            Answer::Reply => Poll::Ready(Ok((self.shared.reply)())),
            Answer::Fails => Poll::Ready(Err(failure())),
            Answer::Panics => panics(),
        }
    }
}

impl<T> Drop for ProbeFuture<T> {
    fn drop(&mut self) {
        self.shared.running.fetch_sub(1, SeqCst);
    }
}

impl<T> fmt::Debug for ProbeFuture<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProbeFuture").finish_non_exhaustive()
    }
}
