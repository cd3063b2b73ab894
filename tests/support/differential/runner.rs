//! The two servers that programs are run on.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};

use super::both::Both;
use super::difference::Difference;
use super::lockstep::PATIENCE;
use super::run::Run;
use super::step::Step;
use super::talk::{Talk, Transport};

/// New connections a second, below what ours lets in from one source (D12).
const PER_SECOND: u32 = 150;

/// The two servers, and what was counted.
pub(crate) struct Runner {
    addrs: Both<SocketAddr>,
    /// What each calls its own address.
    pub(crate) names: Both<SocketAddr>,
    pub(crate) patience: Duration,
    /// When the next connection may be made.
    next: Instant,
    pub(crate) calls: usize,
    /// How often each row of `docs/deviations.md` explained a difference.
    pub(crate) masked: BTreeMap<&'static str, usize>,
    /// The steps of the last run of which that is true.
    pub(crate) masked_at: BTreeSet<usize>,
}

impl Runner {
    pub(crate) fn new(addrs: Both<SocketAddr>) -> Runner {
        Runner {
            names: addrs.clone(),
            addrs,
            patience: PATIENCE,
            next: Instant::now(),
            calls: 0,
            masked: BTreeMap::new(),
            masked_at: BTreeSet::new(),
        }
    }

    /// Says what ours calls itself, where that is not where it is called.
    pub(crate) fn call_ours(&mut self, name: SocketAddr) {
        self.names.ours = name;
    }

    /// Waits less for what does not come: for runs whose difference is known.
    pub(crate) fn hurried(mut self) -> Runner {
        self.patience = PATIENCE / 10;
        self
    }

    /// Runs a program to its end or to the first difference.
    pub(crate) async fn run(&mut self, steps: &[Step]) -> Result<(), Difference> {
        self.masked_at.clear();
        let mut run = Run::new(self).await;
        run.clean().await?;
        for (at, step) in steps.iter().enumerate() {
            run.at = at;
            run.step(step).await?;
            run.runner.calls += step.calls();
        }
        run.look_at_lingering(true).await
    }

    pub(crate) async fn open(&mut self, kind: Transport) -> Both<Talk> {
        self.pace().await;
        let consul = Talk::open(self.addrs.consul, kind).await;
        let ours = Talk::open(self.addrs.ours, kind).await;
        Both::new(consul.expect("Consul listens"), ours.expect("ours listens"))
    }

    /// Connections that have said nothing.
    pub(crate) async fn raw(&mut self, kind: Transport) -> Both<Talk> {
        self.pace().await;
        let consul = Talk::raw(self.addrs.consul, kind).await;
        let ours = Talk::raw(self.addrs.ours, kind).await;
        Both::new(consul.expect("Consul listens"), ours.expect("ours listens"))
    }

    async fn pace(&mut self) {
        sleep_until(self.next).await;
        // A pause makes room for some at once.
        let from = self.next.max(Instant::now() - Duration::from_millis(300));
        self.next = from + Duration::from_secs(1) / PER_SECOND;
    }

    pub(crate) fn mask(&mut self, id: &'static str) {
        *self.masked.entry(id).or_default() += 1;
    }
}
