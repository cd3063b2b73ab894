//! Queries that wait.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::both::Both;
use super::item::Item;
use super::lockstep::{is_fine, more};
use super::runner::Runner;
use super::sight::Sight;
use super::step::{Request, SHORT_WAIT, Step};
use super::talk::{Talk, Transport};
use crate::matrix::answer::End;

/// A key that a query is about.
fn about(query: &Request) -> Item {
    let named = query.body.field("Key").or(query.body.field("Prefix"));
    match named {
        Some(own @ Item::Own(_)) => own.clone(),
        _ => Item::Own(b"w".to_vec()),
    }
}

/// A query that was asked.
pub(crate) struct Asked {
    /// The connection, and the line on it.
    talk: usize,
    line: u32,
    since: Instant,
    /// How long it asked to wait, if that is short.
    short: Option<Duration>,
    /// When each side answered.
    answered: Both<Option<Duration>>,
    /// Whether a row explained what came of it.
    pub(crate) masked: bool,
    /// A key whose writes wake it.
    pub(crate) about: Item,
}

/// Queries that wait beside each other: each plain one on its own connection, all others on one
/// yamux session.
pub(crate) struct Waiting {
    talks: Vec<Both<Talk>>,
    pub(crate) asked: Vec<Asked>,
}

impl Waiting {
    pub(crate) async fn new(
        runner: &mut Runner,
        queries: Vec<(Transport, &Request, Both<Vec<u8>>)>,
    ) -> Waiting {
        let mut waiting = Waiting {
            talks: Vec::new(),
            asked: Vec::new(),
        };
        let mut session = None;
        for (on, request, bytes) in queries {
            let talk = match (on, session) {
                (Transport::Yamux, Some(talk)) => talk,
                _ => {
                    waiting.talks.push(runner.open(on).await);
                    waiting.talks.len() - 1
                }
            };
            if on == Transport::Yamux {
                session = Some(talk);
            }
            let since = Instant::now();
            let mut line = 0;
            let both = waiting.talks[talk].each();
            for (talk, bytes) in both.into_iter().zip([&bytes.consul, &bytes.ours]) {
                line = talk.line().await;
                talk.send(line, bytes).await;
            }
            let time = request
                .waits()
                .filter(|time| (1..=SHORT_WAIT).contains(time));
            waiting.asked.push(Asked {
                talk,
                line,
                since,
                short: time.map(Duration::from_nanos),
                answered: Both::default(),
                masked: false,
                about: about(request),
            });
        }
        waiting
    }

    /// Those that none of the two has answered.
    pub(crate) fn pending(&self) -> impl Iterator<Item = usize> {
        let waits = |asked: &Asked| !asked.masked && asked.answered.all(Option::is_none);
        (0..self.asked.len()).filter(move |number| waits(&self.asked[*number]))
    }

    pub(crate) async fn until_answered(&mut self, numbers: &[usize], patience: Duration) {
        let end = Instant::now() + patience;
        loop {
            self.note();
            let answered = |number: &usize| self.asked[*number].answered.all(Option::is_some);
            if numbers.iter().all(answered) || !more(&mut self.talks, end).await {
                return;
            }
        }
    }

    fn note(&mut self) {
        for asked in &mut self.asked {
            let talks = self.talks[asked.talk].each();
            for (talk, answered) in talks.into_iter().zip(asked.answered.each()) {
                let ended = talk.replies(asked.line) > 0 || talk.end(asked.line) != End::Open;
                if ended && answered.is_none() {
                    *answered = Some(asked.since.elapsed());
                }
            }
        }
    }

    pub(crate) async fn until_short_ones_end(&mut self, patience: Duration) {
        let is_short = |number: &usize| self.asked[*number].short.is_some();
        let short: Vec<usize> = (0..self.asked.len()).filter(is_short).collect();
        self.until_answered(&short, patience).await;
    }

    /// Until both have answered the same queries, or a row says why not, and no further answer comes for a while.
    pub(crate) async fn until_fine(
        &mut self,
        step: &Step,
        addrs: &Both<SocketAddr>,
        quiet: Duration,
        patience: Duration,
    ) {
        let end = Instant::now() + patience;
        loop {
            while more(&mut self.talks, Instant::now() + quiet).await {}
            self.note();
            let fine = (0..self.asked.len())
                .all(|one| self.asked[one].masked || is_fine(step, &self.seen(one), addrs));
            if fine || !more(&mut self.talks, end).await {
                return;
            }
        }
    }

    pub(crate) fn seen(&self, number: usize) -> Both<Sight> {
        let asked = &self.asked[number];
        self.talks[asked.talk].map(|talk| talk.line_sight(asked.line))
    }

    /// Nothing may come too early, but for errors, which wait for nothing.
    pub(crate) fn early(&self) -> Option<String> {
        let early = self.asked.iter().enumerate().find(|(number, asked)| {
            let before = |answered: Option<Duration>| answered < asked.short;
            let is_early = before(asked.answered.ours) && !before(asked.answered.consul);
            let failed = |sight: &Sight| !sight.errors().is_empty();
            asked.short.is_some() && is_early && !self.seen(*number).any(failed)
        });
        early.map(|(_, asked)| {
            let Both { consul, ours } = &asked.answered;
            format!(
                "the time of a query for {:?}: {consul:?} and {ours:?}",
                asked.short
            )
        })
    }

    pub(crate) async fn leave(mut self) {
        for asked in &self.asked {
            for talk in self.talks[asked.talk].each() {
                talk.reset(asked.line).await;
            }
        }
    }
}
