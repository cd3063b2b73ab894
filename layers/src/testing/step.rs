//! Polling by hand, and seeing who is woken.

use std::{
    future::poll_fn,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering::SeqCst},
    },
    task::{Context, Poll, Wake, Waker},
};

/// How a poll ended.
pub(super) enum Step<T> {
    Ready(T),
    Pending,
    Panicked,
}

/// Polls once, under the waker of `bell`. A panic is an outcome.
pub(super) async fn step<T>(
    bell: &Arc<Bell>,
    mut poll: impl FnMut(&mut Context<'_>) -> Poll<T>,
) -> Step<T> {
    poll_fn(|cx| {
        bell.listen(cx.waker());
        let waker = Waker::from(Arc::clone(bell));
        let polled = catch_unwind(AssertUnwindSafe(|| poll(&mut Context::from_waker(&waker))));
        Poll::Ready(match polled {
            Ok(Poll::Ready(value)) => Step::Ready(value),
            Ok(Poll::Pending) => Step::Pending,
            Err(_panic) => Step::Panicked,
        })
    })
    .await
}

/// A waker that remembers that it was used, and wakes the test.
#[derive(Default)]
pub(super) struct Bell {
    rung: AtomicBool,
    task: Mutex<Option<Waker>>,
}

impl Bell {
    /// Whether it rang since it was asked last.
    pub(super) fn rang(&self) -> bool {
        self.rung.swap(false, SeqCst)
    }

    /// Waits until it rings.
    pub(super) async fn ring(&self) {
        poll_fn(|cx| {
            self.listen(cx.waker());
            if self.rang() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        })
        .await;
    }

    fn listen(&self, task: &Waker) {
        let mut slot = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        *slot = Some(task.clone());
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.rung.store(true, SeqCst);
        let mut slot = self.task.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(task) = slot.take() {
            task.wake();
        }
    }
}
