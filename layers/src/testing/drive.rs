//! Driving a layer: ready, called, answered, and every step of it looked at.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    time::Duration,
};

use oneport_proto::BoxError;
use tokio::time::timeout;
use tower::{Layer, Service};

use super::{
    Broken, Rule,
    checks::{Checks, Outcome},
    probe::Probe,
    step::{Step, step},
};

/// How long a layer may wait for something of its own, a look-up for one.
const OWN_WAIT: Duration = Duration::from_secs(10);

impl<L, T, F, R> Checks<'_, L, T, F>
where
    L: Layer<Probe<T>>,
    L::Service: Service<R, Error: Into<BoxError>> + Clone,
    F: Fn() -> R,
{
    /// A fresh service of the layer.
    pub(super) fn service(&self) -> L::Service {
        self.layer.layer(self.probe.clone())
    }

    /// Ready, called, answered.
    pub(super) async fn serve(
        &self,
        service: &mut L::Service,
        rule: Rule,
        which: &str,
    ) -> Outcome<()> {
        self.ready_or(service, rule, which).await?;
        let call = catch_unwind(AssertUnwindSafe(|| service.call((self.request)())));
        let outcome = match call {
            Ok(call) => self.finish(call).await?,
            Err(_panic) => None,
        };
        let unready = if rule == Rule::CloneStartsUnready {
            rule
        } else {
            Rule::CallsReady
        };
        self.called_ready(unready)?;
        self.served(outcome, rule, which)
    }

    /// Asserts that it is ready while the inner service is.
    pub(super) async fn ready(&self, service: &mut L::Service, when: &str) -> Outcome<()> {
        match step(&self.bell, |cx| service.poll_ready(cx)).await {
            Step::Ready(Ok(())) => Ok(()),
            Step::Pending => broken(Rule::NeverPends, format!("poll_ready pends {when}")),
            Step::Ready(Err(error)) => {
                let error = error.into();
                broken(Rule::NeverErrs, format!("poll_ready fails {when}: {error}"))
            }
            Step::Panicked => broken(Rule::NeverErrs, format!("poll_ready panics {when}")),
        }
    }

    /// The same where not being ready has another reason.
    pub(super) async fn ready_or(
        &self,
        service: &mut L::Service,
        rule: Rule,
        which: &str,
    ) -> Outcome<()> {
        let ready = self.ready(service, &format!("before {which}")).await;
        ready.map_err(|found| match rule {
            Rule::DropsWhole | Rule::SurvivesPanics => Broken { rule, ..found },
            _ => found,
        })
    }

    /// Drives a call to its end; `None` if it panicked.
    pub(super) async fn finish<C, Rsp, E>(&self, call: C) -> Outcome<Option<Result<Rsp, E>>>
    where
        C: Future<Output = Result<Rsp, E>>,
    {
        self.finish_pinned(pin!(call)).await
    }

    pub(super) async fn finish_pinned<C, Rsp, E>(
        &self,
        mut call: Pin<&mut C>,
    ) -> Outcome<Option<Result<Rsp, E>>>
    where
        C: Future<Output = Result<Rsp, E>>,
    {
        loop {
            self.bell.rang();
            match step(&self.bell, |cx| call.as_mut().poll(cx)).await {
                Step::Ready(outcome) => return Ok(Some(outcome)),
                Step::Panicked => return Ok(None),
                Step::Pending => self.wait().await?,
            }
        }
    }

    /// Wakes a call that pends, or waits for what the layer itself waits for.
    pub(super) async fn wait(&self) -> Outcome<()> {
        if self.probe.wake() {
            if self.bell.rang() {
                return Ok(());
            }
            return broken(
                Rule::WakesUp,
                "the inner service woke its caller, and nobody was woken",
            );
        }
        let rung = timeout(OWN_WAIT, self.bell.ring()).await;
        rung.or_else(|_| {
            let what = format!("a call pends and nothing wakes it within {OWN_WAIT:?}");
            broken(Rule::WakesUp, what)
        })
    }

    pub(super) fn served<Rsp, E: Into<BoxError>>(
        &self,
        outcome: Option<Result<Rsp, E>>,
        rule: Rule,
        which: &str,
    ) -> Outcome<()> {
        match outcome {
            Some(Ok(_)) => Ok(()),
            Some(Err(error)) => {
                let error = error.into();
                broken(rule, format!("{which} was not served: {error}"))
            }
            None => broken(rule, format!("{which} panicked")),
        }
    }

    pub(super) fn called_ready(&self, rule: Rule) -> Outcome<()> {
        match self.probe.unready() {
            0 => Ok(()),
            _ => broken(
                rule,
                "an instance of the inner service was called that was not ready",
            ),
        }
    }

    pub(super) fn nothing_runs(&self, rule: Rule, which: &str) -> Outcome<()> {
        match self.probe.running() {
            0 => Ok(()),
            n => broken(
                rule,
                format!("before {which} the inner service still has {n} running"),
            ),
        }
    }
}

pub(super) fn broken<T>(rule: Rule, what: impl Into<String>) -> Outcome<T> {
    Err(Broken {
        rule,
        what: what.into(),
    })
}
