//! Making a program that differs small: fewer steps first, then simpler ones.

use std::time::Duration;

use tokio::time::Instant;

use super::difference::Difference;
use super::runner::Runner;
use super::step::{Calls, Damage, Header, Odd, Request, Step, Waits};

/// Shrinking ends by then, wherever it is.
const AT_MOST: Duration = Duration::from_secs(90);

/// A small program that still differs, and how.
pub(crate) async fn shrink(
    runner: &mut Runner,
    steps: Vec<Step>,
    found: Difference,
) -> (Vec<Step>, Difference) {
    let mut shrinking = Shrinking {
        until: Instant::now() + AT_MOST,
        runner,
        steps,
        found,
    };
    shrinking.truncate();
    shrinking.last_alone().await;
    shrinking.fewer().await;
    shrinking.simpler().await;
    shrinking.fewer().await;
    (shrinking.steps, shrinking.found)
}

struct Shrinking<'a> {
    runner: &'a mut Runner,
    until: Instant,
    steps: Vec<Step>,
    found: Difference,
}

impl Shrinking<'_> {
    /// What comes behind the difference did not make it.
    fn truncate(&mut self) {
        self.steps.truncate(self.found.at + 1);
    }

    /// Takes these steps instead if they differ too. Each run has keys of its own, so nothing of
    /// one is left to the next.
    async fn take(&mut self, steps: Vec<Step>) -> bool {
        let deadly = steps
            .iter()
            .any(|step| step.requests().iter().any(|request| request.is_deadly()));
        if deadly || Instant::now() >= self.until {
            return false;
        }
        match self.runner.run(&steps).await {
            Ok(()) => false,
            Err(found) => {
                self.steps = steps;
                self.found = found;
                self.truncate();
                true
            }
        }
    }

    /// Most differences need nothing but the step that shows them.
    async fn last_alone(&mut self) {
        if let Some(last) = self.steps.last().cloned() {
            self.take(vec![last]).await;
        }
    }

    /// Drops ever smaller parts.
    async fn fewer(&mut self) {
        let mut size = self.steps.len().div_ceil(2);
        while size > 0 {
            let mut from = 0;
            while from < self.steps.len() && self.steps.len() > 1 {
                let end = (from + size).min(self.steps.len());
                let rest = [&self.steps[..from], &self.steps[end..]].concat();
                if rest.is_empty() || !self.take(rest).await {
                    from += size;
                }
            }
            size /= 2;
        }
    }

    /// Takes a simpler step for one, as long as there is one.
    async fn simpler(&mut self) {
        let mut at = 0;
        while at < self.steps.len() {
            let mut again = false;
            for simpler in self.steps[at].simpler() {
                let mut steps = self.steps.clone();
                steps[at] = simpler;
                if self.take(steps).await {
                    again = true;
                    break;
                }
            }
            if !again {
                at += 1;
            }
        }
    }
}

impl Step {
    /// The same with one thing less in it, or one thing simpler.
    fn simpler(&self) -> Vec<Step> {
        match self {
            Step::Calls(calls) => {
                let mut found = Vec::new();
                for requests in fewer(&calls.requests) {
                    found.push(Calls {
                        requests,
                        ..calls.clone()
                    });
                }
                for cuts in fewer(&calls.cuts) {
                    found.push(Calls {
                        cuts,
                        ..calls.clone()
                    });
                }
                if calls.cuts.len() == 1 {
                    found.push(Calls {
                        cuts: Vec::new(),
                        ..calls.clone()
                    });
                }
                if calls.fresh {
                    found.push(Calls {
                        fresh: false,
                        ..calls.clone()
                    });
                }
                for requests in one_simpler(&calls.requests, Request::simpler) {
                    found.push(Calls {
                        requests,
                        ..calls.clone()
                    });
                }
                found.into_iter().map(Step::Calls).collect()
            }
            Step::Odd(odd) => {
                let mut found = Vec::new();
                if odd.damage != Damage::None {
                    found.push(Odd {
                        damage: Damage::None,
                        ..odd.clone()
                    });
                }
                for requests in fewer(&odd.requests) {
                    found.push(Odd {
                        requests,
                        ..odd.clone()
                    });
                }
                for requests in one_simpler(&odd.requests, Request::simpler) {
                    found.push(Odd {
                        requests,
                        ..odd.clone()
                    });
                }
                found.into_iter().map(Step::Odd).collect()
            }
            Step::Waits(waits) => {
                let mut found = Vec::new();
                for queries in fewer(&waits.queries) {
                    found.push(Waits {
                        queries,
                        ..waits.clone()
                    });
                }
                if waits.write.is_some() {
                    found.push(Waits {
                        write: None,
                        ..waits.clone()
                    });
                }
                for write in waits.write.iter().flat_map(Request::simpler) {
                    found.push(Waits {
                        write: Some(write),
                        ..waits.clone()
                    });
                }
                let query = |(on, query): &(_, Request)| {
                    let simpler = query.simpler().into_iter();
                    // Without its time or its index it would be another query.
                    let simpler = simpler.filter(|one| one.waits() == query.waits());
                    simpler.map(|query| (*on, query)).collect()
                };
                for queries in one_simpler(&waits.queries, query) {
                    found.push(Waits {
                        queries,
                        ..waits.clone()
                    });
                }
                found.into_iter().map(Step::Waits).collect()
            }
            Step::Port(bytes) => match bytes.len() {
                0 | 1 => Vec::new(),
                _ => vec![Step::Port(bytes[..1].to_vec())],
            },
            Step::Frames(moves) => fewer(moves).into_iter().map(Step::Frames).collect(),
            Step::Case(_) => Vec::new(),
        }
    }
}

impl Request {
    fn simpler(&self) -> Vec<Request> {
        let mut found = Vec::new();
        if self.header != Header::Usual {
            found.push(Request {
                header: Header::Usual,
                ..self.clone()
            });
        }
        if self.seq != 1 {
            found.push(Request {
                seq: 1,
                ..self.clone()
            });
        }
        for body in self.body.simpler() {
            found.push(Request {
                body,
                ..self.clone()
            });
        }
        // A query without an end would be waited for in vain.
        found
            .retain(|one| one.body.field("MinQueryIndex").is_none() || one.waits() == self.waits());
        found
    }
}

/// The list without each one of its items; never empty.
fn fewer<T: Clone>(items: &[T]) -> Vec<Vec<T>> {
    if items.len() < 2 {
        return Vec::new();
    }
    let without = |at: usize| [&items[..at], &items[at + 1..]].concat();
    (0..items.len()).map(without).collect()
}

/// The list with one of its items simpler.
fn one_simpler<T: Clone>(items: &[T], simpler: impl Fn(&T) -> Vec<T>) -> Vec<Vec<T>> {
    let mut found = Vec::new();
    for (at, item) in items.iter().enumerate() {
        for simpler in simpler(item) {
            let mut changed = items.to_vec();
            changed[at] = simpler;
            found.push(changed);
        }
    }
    found
}
