//! How slowly a peer may send.

use std::{
    future::Future,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::time::{Instant, Sleep, sleep_until};

use super::{config::Config, frame::Awaits};

/// A peer that was too slow; its session ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Late {
    /// Nothing came at all.
    #[error("no request within {0:?} of the connection")]
    First(Duration),
    /// A header was not whole in time.
    #[error("request header not whole within {0:?}")]
    Head(Duration),
    /// A body made no progress.
    #[error("request body without progress for {0:?}")]
    Stall(Duration),
    /// Answers were not taken.
    #[error("nothing of what was to be sent was taken for {0:?}")]
    Write(Duration),
    /// A request came too slowly.
    #[error("request slower than {0} bytes a second")]
    Rate(u64),
}

/// Watches how fast requests arrive. Its timer exists only while it runs.
pub(crate) struct Pace {
    /// Set with the first whole request.
    proven: bool,
    /// A request ended in the last chunk.
    complete: bool,
    /// Of the request under way: when its first and its last byte came, and how many there are.
    /// Before the first request: when the connection was opened.
    begun: Instant,
    progressed: Instant,
    received: usize,
    timer: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    pub(crate) fn new(now: Instant) -> Pace {
        Pace {
            proven: false,
            complete: false,
            begun: now,
            progressed: now,
            received: 0,
            timer: None,
        }
    }

    /// A chunk came.
    pub(crate) fn arrived(&mut self, now: Instant) {
        self.progressed = now;
    }

    /// When the last chunk came.
    pub(crate) fn read_at(&self) -> Instant {
        self.progressed
    }

    /// There is a whole request in the last chunk. True for the first of the connection.
    pub(crate) fn complete(&mut self) -> bool {
        self.complete = true;
        !std::mem::replace(&mut self.proven, true)
    }

    /// All whole requests of the last chunk were answered; `under_way` bytes now wait for the rest
    /// of their request.
    pub(crate) fn answered(&mut self, under_way: usize) {
        let complete = std::mem::take(&mut self.complete);
        if complete || self.received == 0 {
            self.begun = self.progressed;
        }
        self.received = under_way;
        self.timer = None;
    }

    /// By when more has to come, and what it would be called if it does not.
    fn deadline(&self, config: &Config, awaits: Awaits) -> Option<(Instant, Late)> {
        match awaits {
            Awaits::Start if self.proven => None,
            Awaits::Start => {
                let within = config.first_request?;
                Some((self.begun + within, Late::First(within)))
            }
            Awaits::Header => Some((self.begun + config.head_time, Late::Head(config.head_time))),
            Awaits::Body => Some(self.body_deadline(config)),
        }
    }

    fn body_deadline(&self, config: &Config) -> (Instant, Late) {
        let stall = (
            self.progressed + config.body_stall,
            Late::Stall(config.body_stall),
        );
        if config.least_rate == 0 {
            return stall;
        }
        let received = u64::try_from(self.received).unwrap_or(u64::MAX);
        let earned = Duration::from_secs(received / config.least_rate);
        let rate = (
            self.begun + earned.max(config.least_rate_after),
            Late::Rate(config.least_rate),
        );
        if rate.0 < stall.0 { rate } else { stall }
    }

    /// Ready when the peer is too late.
    pub(crate) fn poll_late(
        &mut self,
        cx: &mut Context<'_>,
        config: &Config,
        awaits: Awaits,
    ) -> Poll<Late> {
        let Some((at, late)) = self.deadline(config, awaits) else {
            self.timer = None;
            return Poll::Pending;
        };
        let timer = self.timer.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if timer.deadline() != at {
            timer.as_mut().reset(at);
        }
        timer.as_mut().poll(cx).map(|()| late)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    /// A chunk of a request, at the end of which so many bytes wait for the rest.
    fn chunk(pace: &mut Pace, now: Instant, under_way: usize) {
        pace.arrived(now);
        pace.answered(under_way);
    }

    #[tokio::test(start_paused = true)]
    async fn an_idle_pooled_connection_has_no_deadline() {
        let config = Config::default();
        let now = Instant::now();
        let mut pace = Pace::new(now);
        let first = pace.deadline(&config, Awaits::Start).unwrap();
        assert_eq!(first, (now + 10 * SECOND, Late::First(10 * SECOND)));
        pace.arrived(now);
        assert!(pace.complete() && !pace.complete());
        pace.answered(0);
        assert_eq!(pace.deadline(&config, Awaits::Start), None);
    }

    #[tokio::test(start_paused = true)]
    async fn a_header_has_a_time_from_its_first_byte() {
        let config = Config::default();
        let now = Instant::now();
        let mut pace = Pace::new(now);
        chunk(&mut pace, now + SECOND, 1);
        chunk(&mut pace, now + 5 * SECOND, 2);
        let (at, late) = pace.deadline(&config, Awaits::Header).unwrap();
        assert_eq!((at, late), (now + 11 * SECOND, Late::Head(10 * SECOND)));
    }

    #[tokio::test(start_paused = true)]
    async fn a_body_may_stall_and_crawl_only_so_much() {
        let config = Config::default();
        let now = Instant::now();
        let mut pace = Pace::new(now);
        chunk(&mut pace, now, 1000);
        // 1000 bytes are worth less than the 10 s of grace.
        let rate = (now + 10 * SECOND, Late::Rate(4096));
        assert_eq!(pace.deadline(&config, Awaits::Body), Some(rate));
        chunk(&mut pace, now + 9 * SECOND, 4096 * 100);
        let stall = (now + 39 * SECOND, Late::Stall(30 * SECOND));
        assert_eq!(pace.deadline(&config, Awaits::Body), Some(stall));
    }
}
