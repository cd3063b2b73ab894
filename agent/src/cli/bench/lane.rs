//! One line of calls: a connection, or a stream, and what is outstanding on it.

use std::{collections::VecDeque, pin::Pin, sync::Arc, time::Duration};

use bytes::Bytes;
use oneport::{
    client::Mux,
    services::netrpc::{Answer, CallError, Pipeline},
};
use tokio::time::{Instant, Sleep, sleep, timeout};

use super::{
    load::Reuse,
    pace::{Pace, Turn},
    question::Question,
    source::Source,
    tally::{Kind, Tally},
};
use crate::cli::exit::{Exit, Failure};

/// How long a lane waits before it connects again.
const AGAIN: Duration = Duration::from_millis(100);

/// What all lanes of a load share.
#[derive(Debug)]
pub(super) struct Plan {
    /// The questions of each method of the mix.
    pub(super) questions: Vec<Vec<Question>>,
    /// Methods in the order in which they take turns.
    pub(super) round: Vec<usize>,
    pub(super) reuse: Reuse,
    pub(super) in_flight: usize,
    /// How long an answer may take.
    pub(super) timeout: Duration,
}

/// A line of calls.
#[derive(Debug)]
pub(super) struct Lane {
    plan: Arc<Plan>,
    source: Arc<Source>,
    pipeline: Option<Pipeline>,
    /// Where in the round the lane is, and how many rounds it has made.
    place: usize,
    round: usize,
}

/// A call that was sent.
#[derive(Debug)]
struct Asked {
    method: usize,
    question: usize,
    /// Since when its time counts.
    since: Instant,
    sent: Instant,
}

impl Lane {
    /// The lane of this number; nothing is opened yet.
    pub(super) fn new(plan: Arc<Plan>, source: Arc<Source>, number: usize) -> Lane {
        Lane {
            // Lanes do not ask the same at the same time.
            place: number % plan.round.len().max(1),
            round: number,
            plan,
            source,
            pipeline: None,
        }
    }

    /// Opens what the lane will talk on, so that it fails before the load begins.
    pub(super) async fn open(&mut self) -> Result<(), Failure> {
        if self.plan.reuse == Reuse::Always {
            self.pipeline = Some(self.connect().await?);
        }
        Ok(())
    }

    /// Makes calls for as long as there are some, and gives the lane back.
    pub(super) async fn run(mut self, pace: Arc<Pace>, tally: Arc<Tally>) -> Lane {
        while !pace.is_over() {
            let went = match self.plan.reuse {
                Reuse::Always => self.go_on(&pace, &tally).await,
                Reuse::StreamPerCall | Reuse::ConnectPerCall => self.once(&pace, &tally).await,
            };
            if went.is_err() && !pace.is_over() {
                sleep(AGAIN).await;
            }
        }
        self
    }

    async fn connect(&mut self) -> Result<Pipeline, Failure> {
        let opened = timeout(self.plan.timeout, self.source.open()).await;
        let conn = opened.unwrap_or_else(|_| {
            let message = format!("no stream within {:?}", self.plan.timeout);
            Err(Failure::new(Exit::Late, message))
        })?;
        Ok(Pipeline::new(conn, self.plan.in_flight))
    }

    /// Calls over one connection until it breaks or the calls end.
    async fn go_on(&mut self, pace: &Pace, tally: &Tally) -> Result<(), Broken> {
        let mut pipeline = match self.pipeline.take() {
            Some(pipeline) => pipeline,
            None => self
                .connect()
                .await
                .map_err(|error| failed(tally, &error))?,
        };
        let before = pipeline.traffic();
        let mut asked = VecDeque::with_capacity(self.plan.in_flight);
        let went = self.converse(&mut pipeline, &mut asked, pace, tally).await;
        let after = pipeline.traffic();
        tally.bytes(after.0 - before.0, after.1 - before.1);
        match went {
            Ok(()) => {
                self.pipeline = Some(pipeline);
                Ok(())
            }
            Err(error) => {
                let lost = asked.len().max(1) as u64;
                tally.errors(Kind::of(&error), lost, error.to_string());
                Err(Broken)
            }
        }
    }

    async fn converse(
        &mut self,
        pipeline: &mut Pipeline,
        asked: &mut VecDeque<Asked>,
        pace: &Pace,
        tally: &Tally,
    ) -> Result<(), CallError> {
        let mut alarm = Box::pin(sleep(self.plan.timeout));
        let mut now = Instant::now();
        loop {
            let turn = self.fill(pipeline, asked, pace, now)?;
            let Some(oldest) = asked.front() else {
                // Nothing is outstanding: either a call will be due, or it is over.
                match pace.take().await {
                    Some(since) => self.ask(pipeline, asked, since, Instant::now())?,
                    None => return Ok(()),
                }
                continue;
            };
            let late = oldest.sent + self.plan.timeout;
            let answer = in_time(pipeline, alarm.as_mut(), late);
            let answer = match turn {
                // A call that becomes due meanwhile does not wait for the answer.
                Turn::Early => tokio::select! {
                    biased;
                    answer = answer => answer?,
                    since = pace.take() => {
                        now = Instant::now();
                        if let Some(since) = since {
                            self.ask(pipeline, asked, since, now)?;
                        }
                        continue;
                    }
                },
                Turn::Call(_) | Turn::Over => answer.await?,
            };
            now = Instant::now();
            self.settle(asked, &answer, now, tally);
            while let Some(answer) = pipeline.arrived()? {
                self.settle(asked, &answer, now, tally);
            }
        }
    }

    /// Sends what may be sent, and says what comes after it.
    fn fill(
        &mut self,
        pipeline: &mut Pipeline,
        asked: &mut VecDeque<Asked>,
        pace: &Pace,
        now: Instant,
    ) -> Result<Turn, CallError> {
        while pipeline.room() > 0 {
            match pace.try_take(now) {
                Turn::Call(since) => self.ask(pipeline, asked, since, now)?,
                other => return Ok(other),
            }
        }
        Ok(Turn::Over)
    }

    fn ask(
        &mut self,
        pipeline: &mut Pipeline,
        asked: &mut VecDeque<Asked>,
        since: Instant,
        sent: Instant,
    ) -> Result<(), CallError> {
        let (method, question) = self.next();
        let next = &self.plan.questions[method][question];
        asked.push_back(Asked {
            method,
            question,
            since,
            sent,
        });
        pipeline.send(next.method.name().as_bytes(), &next.body)?;
        Ok(())
    }

    /// Which question of which method is next.
    fn next(&mut self) -> (usize, usize) {
        let method = self.plan.round[self.place];
        let question = self.round % self.plan.questions[method].len();
        self.place += 1;
        if self.place == self.plan.round.len() {
            self.place = 0;
            self.round += 1;
        }
        (method, question)
    }

    fn settle(&self, asked: &mut VecDeque<Asked>, answer: &Answer, now: Instant, tally: &Tally) {
        // The pipeline gives no answer that nobody asked for.
        let Some(asked) = asked.pop_front() else {
            return;
        };
        let question = &self.plan.questions[asked.method][asked.question];
        match verdict(question, &answer.result) {
            Ok(()) => tally.answer(asked.method, now.saturating_duration_since(asked.since)),
            Err((kind, what)) => {
                tally.error(kind, format!("{}: {what}", question.method.name()));
            }
        }
    }

    /// One call on a connection or stream of its own.
    async fn once(&mut self, pace: &Pace, tally: &Tally) -> Result<(), Broken> {
        let Some(since) = pace.take().await else {
            return Ok(());
        };
        let place = self.next();
        let (pipeline, mux) = self.single(since, place, tally).await?;
        let (sent, received) = pipeline.traffic();
        tally.bytes(sent, received);
        let closing = async {
            close(pipeline).await;
            if let Some(mux) = mux {
                mux.close().await;
            }
        };
        // What the server does with a connection that is done with is not the call's matter.
        let _late = timeout(self.plan.timeout, closing).await;
        Ok(())
    }

    async fn single(
        &mut self,
        since: Instant,
        (method, question): (usize, usize),
        tally: &Tally,
    ) -> Result<(Pipeline, Option<Mux>), Broken> {
        let question = &self.plan.questions[method][question];
        let exchange = async {
            let (conn, mux) = match self.plan.reuse {
                Reuse::ConnectPerCall => self.source.open_alone().await.map_err(Lost::Way)?,
                _ => (self.source.open().await.map_err(Lost::Way)?, None),
            };
            let mut pipeline = Pipeline::new(conn, 1);
            let sent = pipeline.send(question.method.name().as_bytes(), &question.body);
            sent.map_err(Lost::Call)?;
            let answer = pipeline.receive().await.map_err(Lost::Call)?;
            Ok((pipeline, mux, answer))
        };
        let done = timeout(self.plan.timeout, exchange).await;
        match done.unwrap_or(Err(Lost::Call(CallError::TimedOut))) {
            Ok((pipeline, mux, answer)) => {
                match verdict(question, &answer.result) {
                    Ok(()) => tally.answer(method, since.elapsed()),
                    Err((kind, what)) => {
                        tally.error(kind, format!("{}: {what}", question.method.name()));
                    }
                }
                Ok((pipeline, mux))
            }
            Err(Lost::Way(error)) => Err(failed(tally, &error)),
            Err(Lost::Call(error)) => {
                tally.error(Kind::of(&error), error.to_string());
                Err(Broken)
            }
        }
    }
}

/// A connection is gone, and that was counted.
struct Broken;

/// Where a call was lost.
enum Lost {
    Way(Failure),
    Call(CallError),
}

fn failed(tally: &Tally, error: &Failure) -> Broken {
    tally.error(Kind::from(error), error.message().to_owned());
    Broken
}

fn verdict(question: &Question, result: &Result<Bytes, String>) -> Result<(), (Kind, String)> {
    match result {
        Ok(body) => question.check(body).map_err(|what| (Kind::Wrong, what)),
        Err(text) => Err((Kind::Refused, format!("the server answered: {text}"))),
    }
}

/// The next answer, unless it is `late` before. The alarm is set again only when it rings: mostly
/// its call was answered long ago.
async fn in_time(
    pipeline: &mut Pipeline,
    mut alarm: Pin<&mut Sleep>,
    late: Instant,
) -> Result<Answer, CallError> {
    loop {
        tokio::select! {
            biased;
            answer = pipeline.receive() => return answer,
            () = alarm.as_mut() => {
                if Instant::now() >= late {
                    return Err(CallError::TimedOut);
                }
                alarm.as_mut().reset(late);
            }
        }
    }
}

/// Says that nothing follows: on a stream that is what lets both ends forget it.
async fn close(mut pipeline: Pipeline) {
    // A connection that is gone already is closed.
    let _gone = pipeline.shutdown().await;
}
