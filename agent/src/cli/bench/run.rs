//! One run of a load against one server, from the first key to the last.

use std::{sync::Arc, time::Duration};

use oneport::services::Drainer;
use tokio::{
    task::JoinSet,
    time::{Instant, sleep_until, timeout},
};

use super::{
    idle,
    lane::{Lane, Plan},
    load::{Limit, Load},
    method::Method,
    pace::{Pace, Pacer, Schedule},
    process::{Cpu, Process},
    progress::Progress,
    report::{self, Asked, Errors, Latency, OfMethod, Report, SCHEMA, Share},
    source::Source,
    stock::Stock,
    tally::{Kind, Tally},
};
use crate::cli::{
    exit::{Exit, Failure},
    signals::Signals,
};

/// How long calls that are under way have when a signal ends the run.
const GRACE: Duration = Duration::from_secs(1);

/// A server, a load, and what is looked at.
#[derive(Debug)]
pub(super) struct Run<'a> {
    pub(super) addr: &'a str,
    pub(super) pid: Option<u32>,
    pub(super) load: &'a Load,
    pub(super) limit: Limit,
    /// How many idle connections are measured before the load.
    pub(super) idle: Option<u32>,
    pub(super) progress: Progress,
}

/// What a stage of the load came to.
struct Stage {
    lanes: Vec<Lane>,
    tally: Arc<Tally>,
    elapsed: Duration,
    unsent: u64,
    client: Option<Cpu>,
    server: Option<Cpu>,
    stopped: bool,
}

impl Stage {
    /// Something else than a call went wrong.
    fn fail(&self, error: &Failure) {
        self.tally
            .error(Kind::from(error), error.message().to_owned());
    }
}

impl Run<'_> {
    /// Runs the load; a signal ends it early. The keys are deleted whatever happens.
    pub(super) async fn measure(&self, signals: &mut Signals) -> Result<Report, Failure> {
        let process = self.pid.map(Process::of).transpose()?;
        let idle = match (self.idle, &process) {
            (Some(count), Some(process)) => {
                let measured = idle::measure(self, process, count);
                tokio::select! {
                    idle = measured => Some(idle?),
                    () = signals.next() => return self.report(None, None, true),
                }
            }
            _ => None,
        };
        if self.limit == Limit::Calls(0) {
            return self.report(None, idle, false);
        }
        let stock = Stock::new(self.load);
        let run = self.with_keys(&stock, process.as_ref(), signals).await;
        let cleaned = self.clean(&stock, signals).await;
        let stage = run?;
        match (&stage, cleaned) {
            // What was measured is shown all the same.
            (Some(stage), Err(error)) => stage.fail(&error),
            (_, cleaned) => cleaned?,
        }
        let stopped = stage.as_ref().is_none_or(|stage| stage.stopped);
        self.report(stage, idle, stopped)
    }

    /// The load on its keys; `None` if a signal came before it was measured.
    async fn with_keys(
        &self,
        stock: &Stock,
        process: Option<&Process>,
        signals: &mut Signals,
    ) -> Result<Option<Stage>, Failure> {
        let drainer = Drainer::new();
        let (plan, mut lanes) = tokio::select! {
            ready = self.prepare(stock, &drainer) => ready?,
            () = signals.next() => return Ok(None),
        };
        let warm_up = self.load.warm_up;
        let mut warmed = None;
        if !warm_up.is_zero() {
            let limit = Limit::Time(warm_up);
            let stage = self.stage(", warm-up", limit, lanes, None, signals).await;
            if stage.stopped {
                return Ok(None);
            }
            lanes = stage.lanes;
            // Not measured, but looked at.
            warmed = Some(stage.tally.take());
        }
        let stage = self.stage("", self.limit, lanes, process, signals);
        let mut stage = stage.await;
        // A server may limit how many connections we have.
        stage.lanes.clear();
        if let Some(warmed) = warmed {
            stage.tally.blame(&warmed);
        }
        if self.load.mix().has(Method::Apply) {
            let read = self.read_back(stock, &plan, &stage.tally).await;
            read.unwrap_or_else(|error| stage.fail(&error));
        }
        Ok(Some(stage))
    }

    /// Writes the keys and opens every lane.
    async fn prepare(
        &self,
        stock: &Stock,
        drainer: &Drainer,
    ) -> Result<(Arc<Plan>, Vec<Lane>), Failure> {
        // Also without keys: a server that is not there is found out here.
        let mut connection = self.load.way.connect(self.addr).await?;
        stock.write(&mut connection).await?;
        drop(connection);
        let plan = Arc::new(Plan {
            questions: stock.questions()?,
            round: self.load.mix().round(),
            reuse: self.load.reuse(),
            in_flight: self.load.in_flight(),
            timeout: self.load.way.timeout,
        });
        let mut lanes = Vec::with_capacity(self.load.lanes());
        for _ in 0..self.load.connections() {
            let source = Source::new(self.addr, &self.load.way, drainer.handle());
            let source = Arc::new(source);
            for stream in 0..self.load.streams() {
                let mut lane = Lane::new(Arc::clone(&plan), Arc::clone(&source), lanes.len());
                // The other streams are opened when they are used: a server takes only so many
                // that have nothing to say.
                if stream == 0 {
                    lane.open().await?;
                }
                lanes.push(lane);
            }
        }
        Ok((plan, lanes))
    }

    async fn read_back(&self, stock: &Stock, plan: &Plan, tally: &Tally) -> Result<(), Failure> {
        let mut connection = self.load.way.connect(self.addr).await?;
        let read = stock.read_back(&mut connection, &plan.questions, tally);
        read.await
    }

    /// Runs all lanes until the limit, or until a signal.
    async fn stage(
        &self,
        part: &str,
        limit: Limit,
        lanes: Vec<Lane>,
        process: Option<&Process>,
        signals: &mut Signals,
    ) -> Stage {
        let tally = Arc::new(Tally::of(&self.load.mix()));
        let own = Process::own();
        let cpu = |process: Option<&Process>| process.and_then(|process| process.cpu().ok());
        let before = (cpu(own.as_ref()), cpu(process));
        let start = Instant::now();
        let pace = Arc::new(self.pace(limit, start));
        let pacer = Pacer::start(&pace);
        let mut running = JoinSet::new();
        for lane in lanes {
            running.spawn(lane.run(Arc::clone(&pace), Arc::clone(&tally)));
        }
        let end = match limit {
            Limit::Time(time) => Some(start + time),
            Limit::Calls(_) => None,
        };
        let mut kept = Vec::new();
        let stopped = tokio::select! {
            () = ended(&mut running, &mut kept, &pace, end) => false,
            () = signals.next() => true,
            never = self.progress.report(part, start, end, &tally) => match never {},
        };
        pace.end();
        if stopped {
            let last = finished(&mut running, &mut kept);
            // Calls that hang are cut.
            let _cut = timeout(GRACE, last).await;
        }
        let unsent = pace.unsent(end.unwrap_or_else(Instant::now).min(Instant::now()));
        running.shutdown().await;
        drop(pacer);
        self.progress.done();
        let after = (cpu(own.as_ref()), cpu(process));
        let spent = |(before, after): (Option<Cpu>, Option<Cpu>)| Some(after? - before?);
        Stage {
            lanes: kept,
            tally,
            elapsed: start.elapsed(),
            unsent,
            client: spent((before.0, after.0)),
            server: spent((before.1, after.1)),
            stopped,
        }
    }

    fn pace(&self, limit: Limit, start: Instant) -> Pace {
        let calls = match limit {
            Limit::Time(_) => u64::MAX,
            Limit::Calls(calls) => calls,
        };
        match self.load.rate {
            Some(rate) => Pace::fixed(calls, Schedule::new(rate), start),
            None => Pace::closed(calls),
        }
    }

    async fn clean(&self, stock: &Stock, signals: &mut Signals) -> Result<(), Failure> {
        if !stock.is_touched() {
            return Ok(());
        }
        let left = |why: &str| {
            let prefix = stock.prefix();
            let message = format!("the keys below {prefix} are still there: {why}");
            Failure::new(Exit::Unreachable, message)
        };
        let cleaning = async {
            let mut connection = self.load.way.connect(self.addr).await?;
            stock.delete(&mut connection).await
        };
        tokio::select! {
            cleaned = cleaning => cleaned.map_err(|error| left(error.message())),
            () = signals.next() => Err(left("stopped")),
        }
    }

    fn report(
        &self,
        stage: Option<Stage>,
        idle: Option<report::Idle>,
        stopped: bool,
    ) -> Result<Report, Failure> {
        let nothing = || Stage {
            lanes: Vec::new(),
            tally: Arc::new(Tally::of(&self.load.mix())),
            elapsed: Duration::ZERO,
            unsent: 0,
            client: None,
            server: None,
            stopped,
        };
        let stage = stage.unwrap_or_else(nothing);
        let (counts, seconds) = (stage.tally.take(), stage.elapsed.as_secs_f64());
        let calls = counts.calls();
        let share = |cpu: Option<Cpu>| cpu.and_then(|cpu| Share::new(cpu, calls));
        let rate = match seconds > 0.0 {
            true => calls as f64 / seconds,
            false => 0.0,
        };
        Ok(Report {
            schema: SCHEMA,
            target: self.addr.to_owned(),
            load: Asked::new(self.load),
            stopped,
            seconds,
            calls,
            calls_per_second: rate,
            unsent: stage.unsent,
            latency: Latency::of(&counts.latency()),
            methods: OfMethod::all(&counts),
            errors: Errors::of(&counts),
            bytes: report::Bytes {
                sent: counts.sent,
                received: counts.received,
            },
            client: share(stage.client),
            server: share(stage.server),
            idle,
        })
    }
}

/// Waits for the end of time, and then for the lanes; or for the lanes alone.
async fn ended(
    running: &mut JoinSet<Lane>,
    kept: &mut Vec<Lane>,
    pace: &Pace,
    end: Option<Instant>,
) {
    if let Some(end) = end {
        sleep_until(end).await;
        pace.end();
    }
    finished(running, kept).await;
}

async fn finished(running: &mut JoinSet<Lane>, kept: &mut Vec<Lane>) {
    while let Some(lane) = running.join_next().await {
        // A lane that panicked is missed in the next stage.
        kept.extend(lane);
    }
}
