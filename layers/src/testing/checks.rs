//! The checks of the contract, one after the other.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    sync::Arc,
};

use oneport_proto::{BoxError, code_of};
use tower::{Layer, Service};

use super::{
    Broken, Rule,
    drive::broken,
    probe::{Answer, Probe, Readiness, Script, failure},
    step::{Bell, Step, step},
};

/// How many calls a layer should let through for its test.
pub const CALLS: usize = 1000;

/// How many calls are made one after the other, to see that nothing is used up.
const ROUNDS: usize = 200;

/// At how many await points a call is dropped.
const POINTS: usize = 8;

/// A layer under test.
pub(super) struct Checks<'a, L, T, F> {
    pub(super) layer: &'a L,
    pub(super) request: F,
    pub(super) probe: Probe<T>,
    pub(super) bell: Arc<Bell>,
}

pub(super) type Outcome<T> = Result<T, Broken>;

impl<'a, L, T, F, R> Checks<'a, L, T, F>
where
    L: Layer<Probe<T>>,
    L::Service: Service<R, Error: Into<BoxError>> + Clone,
    F: Fn() -> R,
{
    pub(super) fn new(layer: &'a L, request: F, probe: Probe<T>) -> Self {
        Checks {
            layer,
            request,
            probe,
            bell: Arc::default(),
        }
    }

    pub(super) async fn all(self) -> Outcome<()> {
        self.serves(Rule::Admits, "the first call").await?;
        self.uses_nothing_up().await?;
        self.passes_readiness().await?;
        self.clones_start_unready().await?;
        self.holds_nothing_back().await?;
        self.refuses_at_once().await?;
        self.passes_errors().await?;
        self.drops_whole().await?;
        self.survives_panics().await
    }

    /// One call on a fresh service.
    async fn serves(&self, rule: Rule, which: &str) -> Outcome<()> {
        self.probe.script(Script::default());
        self.serve(&mut self.service(), rule, which).await
    }

    /// Calls again and again, also when some fail, on one service.
    async fn uses_nothing_up(&self) -> Outcome<()> {
        let mut service = self.service();
        for round in 0..ROUNDS {
            self.probe.script(Script {
                answer: if round % 3 == 2 {
                    Answer::Fails
                } else {
                    Answer::Reply
                },
                pends: round % 2,
                ..Script::default()
            });
            self.ready(
                &mut service,
                "after calls that were served and calls that failed",
            )
            .await?;
            self.finish(service.call((self.request)())).await?;
        }
        self.called_ready(Rule::CallsReady)?;
        self.serves(Rule::DropsWhole, "a call after many others")
            .await
    }

    async fn passes_readiness(&self) -> Outcome<()> {
        let mut service = self.service();
        self.probe.script(Script {
            ready: Readiness::Pends,
            ..Script::default()
        });
        self.bell.rang();
        match step(&self.bell, |cx| service.poll_ready(cx)).await {
            Step::Pending if !self.probe.wake() => {
                return broken(
                    Rule::PassesReadiness,
                    "it pends and does not ask the inner service",
                );
            }
            Step::Pending if !self.bell.rang() => {
                return broken(
                    Rule::WakesUp,
                    "the inner service became ready and nobody was woken",
                );
            }
            Step::Pending => {}
            Step::Ready(Ok(())) => self.sheds(&mut service, "was not ready").await?,
            Step::Ready(Err(_)) => {
                return broken(
                    Rule::NeverErrs,
                    "it failed because the inner service was not ready",
                );
            }
            Step::Panicked => return broken(Rule::PassesReadiness, "poll_ready panicked"),
        }
        self.probe.wake();
        self.serves(Rule::Admits, "a call after the inner service became ready")
            .await?;

        let mut service = self.service();
        self.probe.script(Script {
            ready: Readiness::Fails,
            ..Script::default()
        });
        match step(&self.bell, |cx| service.poll_ready(cx)).await {
            Step::Ready(Err(_)) => {}
            Step::Ready(Ok(())) => self.sheds(&mut service, "was dead").await?,
            Step::Pending => {
                return broken(
                    Rule::PassesReadiness,
                    "it pends on an inner service that is dead",
                );
            }
            Step::Panicked => return broken(Rule::PassesReadiness, "poll_ready panicked"),
        }
        self.serves(
            Rule::Admits,
            "a call on another instance after one was dead",
        )
        .await
    }

    /// It said that it was ready although the inner service is not: then it must refuse.
    async fn sheds(&self, service: &mut L::Service, how: &str) -> Outcome<()> {
        let served = self.finish(service.call((self.request)())).await?;
        self.called_ready(Rule::CallsReady)?;
        if served.is_none_or(|outcome| outcome.is_ok()) {
            let what = format!("it was ready and served a call while the inner service {how}");
            return broken(Rule::PassesReadiness, what);
        }
        Ok(())
    }

    async fn clones_start_unready(&self) -> Outcome<()> {
        let rule = Rule::CloneStartsUnready;
        self.probe.script(Script::default());
        let mut service = self.service();
        self.ready(&mut service, "at first").await?;
        let mut clone = service.clone();
        self.serve(&mut clone, rule, "a call on a clone").await?;
        self.called_ready(rule)?;
        // Readiness keeps until it is used.
        let outcome = self.finish(service.call((self.request)())).await?;
        self.served(outcome, rule, "a call on what was cloned")?;
        self.called_ready(rule)
    }

    async fn holds_nothing_back(&self) -> Outcome<()> {
        let mut idle = self.service();
        let mut busy = idle.clone();
        self.ready(&mut idle, "at first").await?;
        self.ready(&mut busy, "while another clone is ready and does not call")
            .await?;
        let which = "a call while another clone is ready and does not call";
        let outcome = self.finish(busy.call((self.request)())).await?;
        self.served(outcome, Rule::NeverPends, which)
    }

    /// With a call under way others are served or refused, but not kept waiting.
    async fn refuses_at_once(&self) -> Outcome<()> {
        self.probe.script(Script {
            pends: 1,
            ..Script::default()
        });
        let mut service = self.service();
        self.ready(&mut service, "at first").await?;
        let mut first = pin!(service.call((self.request)()));
        let Step::Pending = step(&self.bell, |cx| first.as_mut().poll(cx)).await else {
            return broken(Rule::Admits, "a call ended before the inner service's did");
        };
        let mut other = service.clone();
        self.probe.script(Script::default());
        self.ready(&mut other, "while a call is under way").await?;
        self.finish(other.call((self.request)())).await?;
        self.ready(&mut other, "while a call is under way and another was made")
            .await?;
        self.ready(&mut service, "while its call is under way")
            .await?;
        let outcome = self.finish_pinned(first.as_mut()).await?;
        self.served(
            outcome,
            Rule::Admits,
            "a call during which others were made",
        )
    }

    async fn passes_errors(&self) -> Outcome<()> {
        self.probe.script(Script {
            answer: Answer::Fails,
            ..Script::default()
        });
        let mut service = self.service();
        self.ready(&mut service, "at first").await?;
        // What turns an error into a reply may.
        if let Some(Err(error)) = self.finish(service.call((self.request)())).await? {
            let (was, is) = (code_of(&failure()), code_of(&error.into()));
            if was != is {
                let what = format!("an error with the code {was:?} became one with {is:?}");
                return broken(Rule::PassesErrors, what);
            }
        }
        Ok(())
    }

    async fn drops_whole(&self) -> Outcome<()> {
        let rule = Rule::DropsWhole;
        for point in 0..POINTS {
            self.probe.script(Script {
                pends: POINTS / 2,
                ..Script::default()
            });
            let mut service = self.service();
            self.ready(&mut service, "after a call was dropped").await?;
            self.poll_and_drop(service.call((self.request)()), point)
                .await;
            let which = format!("the call after one that was polled {point} times and dropped");
            self.nothing_runs(rule, &which)?;
            self.serve(&mut service, rule, &which).await?;
            self.serves(rule, &which).await?;
        }
        if self.probe.others() > 0 {
            return broken(rule, "the service was dropped, but not what it had inside");
        }
        Ok(())
    }

    async fn poll_and_drop<C: Future>(&self, call: C, polls: usize) {
        let mut call = pin!(call);
        for _ in 0..polls {
            let Step::Pending = step(&self.bell, |cx| call.as_mut().poll(cx)).await else {
                return;
            };
            self.probe.wake();
        }
    }

    async fn survives_panics(&self) -> Outcome<()> {
        let rule = Rule::SurvivesPanics;
        let panics = [
            (
                "poll_ready",
                Script {
                    ready: Readiness::Panics,
                    ..Script::default()
                },
            ),
            (
                "call",
                Script {
                    panics_in_call: true,
                    ..Script::default()
                },
            ),
            (
                "the first poll",
                Script {
                    answer: Answer::Panics,
                    ..Script::default()
                },
            ),
            (
                "a later poll",
                Script {
                    answer: Answer::Panics,
                    pends: 2,
                    ..Script::default()
                },
            ),
        ];
        for (place, script) in panics {
            let mut service = self.service();
            let which = format!("a call after a panic in {place} of the inner service");
            self.probe.script(Script {
                ready: script.ready,
                ..Script::default()
            });
            let ready = step(&self.bell, |cx| service.poll_ready(cx)).await;
            self.probe.script(script);
            if let Step::Ready(Ok(())) = ready {
                let call = catch_unwind(AssertUnwindSafe(|| service.call((self.request)())));
                if let Ok(call) = call {
                    self.finish(call).await?;
                }
            }
            self.nothing_runs(rule, &which)?;
            self.probe.script(Script::default());
            self.serve(&mut service.clone(), rule, &which).await?;
            self.serve(&mut service, rule, &which).await?;
            self.serves(rule, &which).await?;
        }
        Ok(())
    }
}
