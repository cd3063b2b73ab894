//! Foreign code that may panic.

use std::panic::{AssertUnwindSafe, catch_unwind};

use oneport_proto::{BoxError, Refusal};
use tonic::Status;

/// Runs foreign code; a panic becomes an error and counts as `counter`. What it left behind is
/// dropped and never used again, so nobody sees it half done.
pub(crate) fn caught<T>(counter: &'static str, run: impl FnOnce() -> T) -> Result<T, BoxError> {
    catch_unwind(AssertUnwindSafe(run)).map_err(|_| {
        metrics::counter!(counter).increment(1);
        tracing::error!(counter, "a handler panicked");
        Status::from(Refusal::Panicked).into()
    })
}
