//! Which streams have something to do: each has a waker of its own, all in one task.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::{Wake, Waker},
};

use super::table::Key;

/// The streams to be polled, in the order of their wake-ups, and how to wake the session's task.
#[derive(Debug, Default)]
pub(crate) struct ReadyList {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    queue: VecDeque<Key>,
    /// Something else than a ready stream needs the task: a new stream, the end.
    nudged: bool,
    /// There is output that the task has not seen.
    output: bool,
    /// The task is in its turn: it looks here before it sleeps and need not be woken.
    awake: bool,
    task: Option<Waker>,
}

impl ReadyList {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing that can panic runs under this lock.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The task begins its turn; `true` if output has come up since it last slept.
    pub(crate) fn enter(&self, task: &Waker) -> bool {
        let mut inner = self.lock();
        inner.awake = true;
        inner.nudged = false;
        let output = std::mem::take(&mut inner.output);
        match &inner.task {
            Some(old) if old.will_wake(task) => {}
            _ => {
                let old = inner.task.replace(task.clone());
                drop(inner);
                drop(old);
            }
        }
        output
    }

    /// The task wants to sleep: `false` when there is something to do after all.
    pub(crate) fn leave(&self) -> bool {
        let mut inner = self.lock();
        if inner.nudged || inner.output || !inner.queue.is_empty() {
            inner.nudged = false;
            inner.output = false;
            return false;
        }
        inner.awake = false;
        // A burst of ready streams leaves no memory behind.
        if inner.queue.capacity() > 64 {
            inner.queue = VecDeque::new();
        }
        true
    }

    /// The task leaves its turn although there may be something to do; it has woken itself.
    pub(crate) fn yielded(&self) {
        self.lock().awake = false;
    }

    /// Makes the task look at the session again.
    pub(crate) fn nudge(&self) {
        let mut inner = self.lock();
        inner.nudged = true;
        Self::wake(inner);
    }

    /// Makes the task send what there is. A task that is about to do so anyway is not kept awake.
    pub(crate) fn output(&self) {
        let mut inner = self.lock();
        inner.output = true;
        Self::wake(inner);
    }

    /// The task is about to send whatever there is.
    pub(crate) fn sending(&self) {
        self.lock().output = false;
    }

    fn push(&self, key: Key) {
        let mut inner = self.lock();
        inner.queue.push_back(key);
        Self::wake(inner);
    }

    fn wake(inner: MutexGuard<'_, Inner>) {
        if inner.awake {
            return;
        }
        let task = inner.task.clone();
        drop(inner);
        if let Some(task) = task {
            task.wake();
        }
    }

    pub(crate) fn pop(&self) -> Option<Key> {
        self.lock().queue.pop_front()
    }
}

/// The waker of one stream: it puts the stream on the ready list, once until it is polled.
#[derive(Debug)]
pub(crate) struct Bell {
    key: Key,
    rung: AtomicBool,
    ready: Arc<ReadyList>,
}

impl Bell {
    pub(crate) fn new(key: Key, ready: Arc<ReadyList>) -> Arc<Bell> {
        Arc::new(Bell {
            key,
            rung: AtomicBool::new(false),
            ready,
        })
    }

    pub(crate) fn ring(&self) {
        if !self.rung.swap(true, Ordering::AcqRel) {
            self.ready.push(self.key);
        }
    }

    /// To be called before the stream is polled: what rings from now on counts anew.
    pub(crate) fn reset(&self) {
        self.rung.store(false, Ordering::Release);
    }
}

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.ring();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.ring();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicUsize;

    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::SeqCst);
        }
    }

    #[test]
    fn a_stream_is_listed_once_and_the_task_woken_only_when_asleep() {
        let ready = Arc::new(ReadyList::default());
        let count = Arc::new(Count::default());
        let woken = || count.0.load(Ordering::SeqCst);
        let bell = Bell::new(Key::for_test(3), Arc::clone(&ready));
        ready.enter(&Waker::from(Arc::clone(&count)));
        bell.ring();
        bell.ring();
        assert_eq!((woken(), ready.leave()), (0, false));
        assert_eq!(ready.pop(), Some(Key::for_test(3)));
        assert_eq!(ready.pop(), None);
        bell.reset();
        assert!(ready.leave());
        bell.ring();
        assert_eq!(woken(), 1);
        assert!(ready.pop().is_some());
    }

    #[test]
    fn output_keeps_the_task_awake_until_it_sends() {
        let ready = ReadyList::default();
        let count = Arc::new(Count::default());
        ready.enter(&Waker::from(Arc::clone(&count)));
        ready.output();
        ready.sending();
        assert!(ready.leave());
        ready.output();
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
        assert!(ready.enter(&Waker::from(Arc::clone(&count))));
        ready.sending();
        ready.output();
        assert!(!ready.leave());
    }

    #[test]
    fn a_nudge_keeps_the_task_awake() {
        let ready = ReadyList::default();
        let count = Arc::new(Count::default());
        ready.enter(&Waker::from(Arc::clone(&count)));
        ready.nudge();
        assert!(!ready.leave());
        assert!(ready.leave());
        ready.nudge();
        assert_eq!(count.0.load(Ordering::SeqCst), 1);
    }
}
