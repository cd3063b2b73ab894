//! Our pings: is the peer alive, and how far away is it?

use tokio::time::{Duration, Instant};

use super::config::{Config, after};

/// What the clock asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Beat {
    Nothing,
    /// Send a ping with this value.
    Ping(u32),
    /// The last one was not answered in time.
    Dead,
}

/// At most one ping is under way. Values count up from 0; the next ping follows the answer by the
/// interval, as in Go's library.
#[derive(Debug)]
pub(crate) struct Keepalive {
    interval: Duration,
    timeout: Duration,
    next: Instant,
    value: u32,
    sent: Option<(u32, Instant)>,
    rtt: Option<Duration>,
}

impl Keepalive {
    pub(crate) fn new(config: &Config, now: Instant) -> Keepalive {
        Keepalive {
            interval: config.keepalive_interval,
            timeout: config.keepalive_timeout,
            next: after(now, config.keepalive_interval),
            value: 0,
            sent: None,
            rtt: None,
        }
    }

    /// The last round trip measured.
    pub(crate) fn rtt(&self) -> Option<Duration> {
        self.rtt
    }

    /// When [`beat`](Keepalive::beat) has something to say.
    pub(crate) fn deadline(&self) -> Instant {
        match self.sent {
            Some((_, at)) => after(at, self.timeout),
            None => self.next,
        }
    }

    pub(crate) fn beat(&mut self, now: Instant) -> Beat {
        if now < self.deadline() {
            Beat::Nothing
        } else if self.sent.is_some() {
            Beat::Dead
        } else {
            self.ping(now)
        }
    }

    /// A ping ahead of time, to learn the round trip; nothing when one is under way.
    pub(crate) fn ping(&mut self, now: Instant) -> Beat {
        if self.sent.is_some() {
            return Beat::Nothing;
        }
        let value = self.value;
        self.value = value.wrapping_add(1);
        self.sent = Some((value, now));
        Beat::Ping(value)
    }

    /// An answer came. One that nobody asked for is ignored.
    pub(crate) fn answered(&mut self, value: u32, now: Instant) {
        if let Some((asked, at)) = self.sent
            && asked == value
        {
            self.sent = None;
            self.rtt = Some(now.saturating_duration_since(at));
            self.next = after(now, self.interval);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_ping_at_thirty_and_death_at_forty() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut keepalive = Keepalive::new(&Config::default(), start);
        assert_eq!(keepalive.beat(at(29_999)), Beat::Nothing);
        assert_eq!(keepalive.beat(at(30_000)), Beat::Ping(0));
        assert_eq!(keepalive.beat(at(39_999)), Beat::Nothing);
        assert_eq!(keepalive.beat(at(40_000)), Beat::Dead);
    }

    #[test]
    fn only_the_right_answer_counts() {
        let start = Instant::now();
        let at = |ms| start + Duration::from_millis(ms);
        let mut keepalive = Keepalive::new(&Config::default(), start);
        keepalive.answered(0, at(1));
        assert_eq!(keepalive.beat(at(30_000)), Beat::Ping(0));
        keepalive.answered(7, at(30_001));
        assert_eq!(keepalive.deadline(), at(40_000));
        keepalive.answered(0, at(30_050));
        assert_eq!(keepalive.rtt(), Some(Duration::from_millis(50)));
        assert_eq!(keepalive.beat(at(60_049)), Beat::Nothing);
        assert_eq!(keepalive.beat(at(60_050)), Beat::Ping(1));
    }
}
