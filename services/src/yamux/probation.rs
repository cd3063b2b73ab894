//! What a peer may have before it has sent one whole request.

use std::collections::VecDeque;

use tokio::time::{Duration, Instant};

use super::config::STREAM_COST;

/// Of so many bytes received one pays for a stream. They are held as well: a large upload on each of
/// many streams takes an eighth more memory than it sent, small pieces on many streams are refused.
const PAYMENT: usize = 8;

/// A session on probation: as long as nothing on it has proven itself, its streams may not cost
/// more than an allowance and a share of the bytes that were received. A peer that opens more streams before it
/// has said anything on them is a client like many: they are parked, at four words each, and begun
/// as soon as one request has come whole.
#[derive(Debug)]
pub(crate) struct Probation {
    over: bool,
    allowance: usize,
    received: usize,
    parked: VecDeque<Parked>,
}

/// A stream that was opened, has carried nothing, and has no place yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Parked {
    pub(crate) id: u32,
    pub(crate) since: Instant,
}

impl Probation {
    pub(crate) fn new(allowance: usize) -> Probation {
        Probation {
            // Who may cost anything is trusted from the start.
            over: allowance == usize::MAX,
            allowance,
            received: 0,
            parked: VecDeque::new(),
        }
    }

    pub(crate) fn is_over(&self) -> bool {
        self.over
    }

    /// So many bytes have come.
    pub(crate) fn received(&mut self, bytes: usize) {
        if !self.over {
            self.received = self.received.saturating_add(bytes);
        }
    }

    /// Whether one more stream may begin beside those that are open. Silent ones have half of what
    /// there is: whichever stream speaks first finds a place, and may be the one that proves the peer.
    pub(crate) fn admits(&self, open: usize, speaks: bool) -> bool {
        let share = if speaks { 1 } else { 2 };
        let cost = (open + 1).saturating_mul(STREAM_COST);
        let most = self.allowance.saturating_add(self.received / PAYMENT);
        self.over || cost <= most / share
    }

    pub(crate) fn park(&mut self, opened: Parked) {
        self.parked.push_back(opened);
    }

    /// How many are parked.
    pub(crate) fn parked(&self) -> usize {
        self.parked.len()
    }

    pub(crate) fn holds(&self, id: u32) -> bool {
        self.parked.iter().any(|parked| parked.id == id)
    }

    /// Takes a parked stream out, because it is parked no more.
    pub(crate) fn take(&mut self, id: u32) -> Option<Parked> {
        let at = self.parked.iter().position(|parked| parked.id == id)?;
        self.parked.remove(at)
    }

    /// Takes out all that have been silent for too long.
    pub(crate) fn take_silent(&mut self, now: Instant, timeout: Duration) -> Vec<Parked> {
        let late = |parked: &Parked| now.saturating_duration_since(parked.since) >= timeout;
        let count = self.parked.iter().take_while(|parked| late(parked)).count();
        self.parked.drain(..count).collect()
    }

    /// When the oldest was parked.
    pub(crate) fn oldest(&self) -> Option<Instant> {
        self.parked.front().map(|parked| parked.since)
    }

    /// Takes all out.
    pub(crate) fn take_all(&mut self) -> VecDeque<Parked> {
        std::mem::take(&mut self.parked)
    }

    /// The peer has proven itself.
    pub(crate) fn end(&mut self) {
        self.over = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn streams_may_cost_the_allowance_and_a_share() {
        let mut probation = Probation::new(2 * STREAM_COST);
        assert!(probation.admits(0, false) && !probation.admits(1, false));
        assert!(probation.admits(1, true) && !probation.admits(2, true));
        probation.received(PAYMENT * STREAM_COST - 1);
        assert!(!probation.admits(2, true));
        probation.received(1);
        assert!(probation.admits(2, true) && !probation.admits(3, true));
        probation.end();
        assert!(probation.admits(4096, false));
    }

    #[tokio::test(start_paused = true)]
    async fn parked_streams_leave_in_order() {
        let mut probation = Probation::new(0);
        let (start, second) = (Instant::now(), Duration::from_secs(1));
        for id in [1, 3, 5] {
            let since = start + id * second;
            probation.park(Parked { id, since });
        }
        assert!(probation.holds(3));
        assert_eq!(probation.take(3).map(|parked| parked.id), Some(3));
        assert!(!probation.holds(3));
        assert_eq!(probation.oldest(), Some(start + second));
        let silent = probation.take_silent(start + 11 * second, 10 * second);
        assert_eq!(silent.len(), 1);
        assert_eq!(probation.parked(), 1);
    }
}
