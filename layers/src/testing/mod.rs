//! The contract of a layer, as a test that any layer can be run through.
//!
//! What a service promises by `poll_ready` is easily broken, and a broken promise shows late: under
//! load, as a call that hangs. So the rules stand here once, executable. [`keeps_contract`] puts the
//! layer in front of a service that it controls and tries everything that may happen to a call: it is
//! served, it fails, it pends, it is dropped wherever it may be, it panics.
//!
//! | rule | what is checked |
//! |---|---|
//! | [`Rule::Admits`] | a call is served, so that there is something to check |
//! | [`Rule::CallsReady`] | the inner service is called only on an instance that said it was ready |
//! | [`Rule::NeverPends`] | with a ready inner service the layer is ready, whatever it has refused, whatever runs, and whoever else is ready and does not call |
//! | [`Rule::NeverErrs`] | nor does it fail there: an error of `poll_ready` means that the instance is dead |
//! | [`Rule::PassesReadiness`] | with an inner service that is not ready, or dead, the layer says the same, or refuses in `call` |
//! | [`Rule::CloneStartsUnready`] | a clone of a ready instance is not ready: what it holds is not copied |
//! | [`Rule::WakesUp`] | when the inner service wakes its caller, the layer's caller wakes |
//! | [`Rule::PassesErrors`] | an error of the inner service keeps its code |
//! | [`Rule::DropsWhole`] | a call that is dropped, at any await point, leaves nothing behind: no running inner call, no place taken |
//! | [`Rule::SurvivesPanics`] | after a panic in the inner service's `poll_ready`, `call` or future the layer serves others |
//!
//! The layer should let at least [`CALLS`] calls through. To see that places are given back let it
//! allow one at a time, if that is what it counts: no check has two that must both be served.
//!
//! ```
//! use oneport_layers::{InFlightConfig, InFlightLayer, testing};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), testing::Broken> {
//! let one = InFlightConfig { calls: 1, ..InFlightConfig::default() };
//! testing::keeps_contract(InFlightLayer::new(one)).await?;
//!
//! // What is not a policy: a limit that makes its callers wait.
//! let waits = tower::limit::ConcurrencyLimitLayer::new(1);
//! let broken = testing::keeps_contract(waits).await.unwrap_err();
//! assert_eq!(broken.rule, testing::Rule::NeverPends);
//! # Ok(()) }
//! ```

mod checks;
mod drive;
mod ping;
mod probe;
mod step;

use std::fmt;

use oneport_proto::{BoxError, code_of};
use tonic::Code;
use tower::{Layer, Service, ServiceExt};

pub use self::{
    checks::CALLS,
    ping::{Ping, Pong},
    probe::{Probe, ProbeFuture},
};
use self::{checks::Checks, probe::Script};

/// A rule of the contract: see the [module](self).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Rule {
    /// A call is served.
    Admits,
    /// Only a ready instance is called.
    CallsReady,
    /// The layer itself never makes anybody wait in `poll_ready`.
    NeverPends,
    /// The layer itself never fails in `poll_ready`.
    NeverErrs,
    /// What the inner service says in `poll_ready` is not hidden.
    PassesReadiness,
    /// A clone of a ready instance is not ready.
    CloneStartsUnready,
    /// Wake-ups arrive.
    WakesUp,
    /// Errors keep their codes.
    PassesErrors,
    /// A dropped call leaves nothing behind.
    DropsWhole,
    /// A panic of the inner service is that one call's.
    SurvivesPanics,
    /// A request without a head is refused as an internal error.
    NeedsHead,
}

/// A layer broke a rule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Broken {
    /// The rule.
    pub rule: Rule,
    /// What happened.
    pub what: String,
}

impl fmt::Display for Broken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.rule, self.what)
    }
}

impl std::error::Error for Broken {}

/// Runs a layer through the contract, with [`Ping`] for a request and [`Pong`] for a reply.
///
/// It needs a tokio runtime with time; a paused clock is fine.
///
/// # Errors
/// The first rule that the layer broke.
pub async fn keeps_contract<L>(layer: L) -> Result<(), Broken>
where
    L: Layer<Probe<Pong>>,
    L::Service: Service<Ping, Error: Into<BoxError>> + Clone,
{
    keeps_contract_with(layer, Ping::new, Pong::new).await
}

/// Runs a layer through the contract, for layers that want a request or a reply of their own.
///
/// # Errors
/// The first rule that the layer broke.
pub async fn keeps_contract_with<L, R, T>(
    layer: L,
    request: impl Fn() -> R,
    reply: impl Fn() -> T + Send + Sync + 'static,
) -> Result<(), Broken>
where
    L: Layer<Probe<T>>,
    L::Service: Service<R, Error: Into<BoxError>> + Clone,
{
    let probe = Probe::new(reply);
    Checks::new(&layer, request, probe).all().await
}

/// Whether a layer refuses a request that nobody stamped, as an internal error, and does not pass
/// it on. What decides by the head must; what does not look at it need not.
///
/// # Errors
/// [`Rule::NeedsHead`] if it does not.
pub async fn needs_head<L>(layer: L) -> Result<(), Broken>
where
    L: Layer<Probe<Pong>>,
    L::Service: Service<Ping, Error: Into<BoxError>> + Clone,
{
    let probe = Probe::new(Pong::new);
    probe.script(Script::default());
    let outcome = layer.layer(probe.clone()).oneshot(Ping::unstamped()).await;
    let what = match outcome.map_err(Into::into) {
        Ok(_) => "a request without a head was served".to_owned(),
        Err(error) if code_of(&error) != Code::Internal => {
            format!(
                "a request without a head was refused as {:?}",
                code_of(&error)
            )
        }
        Err(_) if probe.calls() > 0 => "a request without a head was passed on".to_owned(),
        Err(_) => return Ok(()),
    };
    Err(Broken {
        rule: Rule::NeedsHead,
        what,
    })
}
