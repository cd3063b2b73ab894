//! The question, and its answer.

use std::{
    future::{Future, Ready},
    sync::Arc,
};

use oneport_proto::{Head, Identity, Refusal};

/// Who the caller is, as far as that was found out; or why it may not call.
pub type Verdict = Result<Option<Identity>, Refusal>;

/// Decides who may call.
///
/// It is shared by all calls and asked for each, so a decision that can be made at once should be:
/// [`Decision::Now`] costs nothing. One that has to ask somebody gives a future, and is best
/// wrapped into [`Cached`](super::Cached).
pub trait Authorize: Send + Sync + 'static {
    /// A decision under way. [`Never`] where there is none.
    type Future: Future<Output = Verdict> + Send + 'static;

    /// Decides about one call. Whoever cannot tell, because a fact is missing, says no.
    fn authorize(&self, head: &Head) -> Decision<Self::Future>;
}

/// A decision, or one under way.
#[derive(Debug)]
pub enum Decision<F> {
    /// Decided.
    Now(Verdict),
    /// To be waited for.
    Later(F),
}

/// The future of an [`Authorize`] that always decides at once.
pub type Never = Ready<Verdict>;

impl<A: Authorize> Authorize for Arc<A> {
    type Future = A::Future;

    fn authorize(&self, head: &Head) -> Decision<A::Future> {
        A::authorize(self, head)
    }
}
