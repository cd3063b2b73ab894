//! Credit: how many bytes each side may send on a stream.

use tokio::time::{Duration, Instant};

use super::fault::Fault;

/// What either side may send on a new stream, in bytes. The wire format fixes it.
pub const INITIAL_WINDOW: u32 = 256 * 1024;

/// What we may still send on one stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct SendWindow {
    left: u32,
}

impl SendWindow {
    pub(crate) fn new() -> SendWindow {
        SendWindow {
            left: INITIAL_WINDOW,
        }
    }

    pub(crate) fn left(self) -> u32 {
        self.left
    }

    /// The peer grants more. A sum that does not fit the wire's 32 bits is its fault.
    pub(crate) fn grant(&mut self, more: u32) -> Result<(), Fault> {
        self.left = self.left.checked_add(more).ok_or(Fault::CreditOverflow)?;
        Ok(())
    }

    /// How much of `wanted` may go out in one frame of at most `cap` bytes; taken at once.
    pub(crate) fn take(&mut self, wanted: usize, cap: u32) -> u32 {
        let wanted = u32::try_from(wanted).unwrap_or(u32::MAX);
        let taken = wanted.min(self.left).min(cap);
        self.left -= taken;
        taken
    }
}

/// What the peer may still send on one stream, and what it has earned back.
///
/// Invariant: `left + unread + consumed == target`, where *unread* is what the application has not
/// taken yet. Credit is only ever made from *consumed* and from growth of the target.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct RecvWindow {
    left: u32,
    consumed: u32,
    target: u32,
    /// When the present half window began to be used.
    since: Option<Instant>,
}

impl RecvWindow {
    pub(crate) fn new() -> RecvWindow {
        RecvWindow {
            left: INITIAL_WINDOW,
            consumed: 0,
            target: INITIAL_WINDOW,
            since: None,
        }
    }

    pub(crate) fn left(&self) -> u32 {
        self.left
    }

    /// By how much the window is larger than at first.
    pub(crate) fn grown(&self) -> u32 {
        self.target - INITIAL_WINDOW
    }

    /// The peer announces `length` bytes.
    pub(crate) fn take(&mut self, length: u32) -> Result<(), Fault> {
        self.left = self.left.checked_sub(length).ok_or(Fault::WindowExceeded)?;
        Ok(())
    }

    /// The application has taken `n` bytes.
    pub(crate) fn consume(&mut self, n: u32) {
        // Not more than the peer sent, and that fitted.
        self.consumed = self.consumed.saturating_add(n);
    }

    /// Whether an update is worth a frame.
    pub(crate) fn is_due(&self) -> bool {
        self.consumed >= self.target / 2
    }

    /// Doubles the window when its half was used in less than two round trips; never beyond `cap`
    /// and never by more than `spare`. Returns by how much it grew.
    pub(crate) fn grow(
        &mut self,
        now: Instant,
        rtt: Option<Duration>,
        cap: u32,
        spare: u32,
    ) -> u32 {
        let fast = match (self.since, rtt) {
            (Some(since), Some(rtt)) => now.saturating_duration_since(since) < rtt * 2,
            _ => false,
        };
        self.since = Some(now);
        let doubled = self.target.saturating_mul(2).min(cap.max(self.target));
        let more = doubled - self.target;
        if !fast || more > spare {
            return 0;
        }
        self.target = doubled;
        more
    }

    /// The increment of an update: all that was consumed and `grown` on top.
    pub(crate) fn report(&mut self, grown: u32) -> u32 {
        let increment = self.consumed.saturating_add(grown);
        self.consumed = 0;
        self.left = self.left.saturating_add(increment);
        increment
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn credit_never_overflows() {
        let mut window = SendWindow::new();
        window.grant(u32::MAX - INITIAL_WINDOW).unwrap();
        assert_eq!(window.left(), u32::MAX);
        assert_eq!(window.grant(1), Err(Fault::CreditOverflow));
    }

    #[test]
    fn a_frame_is_cut_at_window_and_cap() {
        let mut window = SendWindow::new();
        assert_eq!(window.take(1 << 20, 64 * 1024), 64 * 1024);
        assert_eq!(window.take(1 << 20, u32::MAX), INITIAL_WINDOW - 64 * 1024);
        assert_eq!(window.take(1, 1), 0);
    }

    #[test]
    fn the_window_is_exact_to_the_byte() {
        for (length, fits) in [
            (INITIAL_WINDOW - 1, true),
            (INITIAL_WINDOW, true),
            (INITIAL_WINDOW + 1, false),
        ] {
            assert_eq!(RecvWindow::new().take(length).is_ok(), fits, "{length}");
        }
    }

    #[test]
    fn half_a_window_is_worth_an_update() {
        for (n, due) in [
            (INITIAL_WINDOW / 2 - 1, false),
            (INITIAL_WINDOW / 2, true),
            (INITIAL_WINDOW / 2 + 1, true),
        ] {
            let mut window = RecvWindow::new();
            window.take(n).unwrap();
            window.consume(n);
            assert_eq!(window.is_due(), due, "{n}");
        }
    }

    #[test]
    fn it_doubles_when_used_fast_and_stops_at_the_cap() {
        let start = Instant::now();
        let rtt = Some(Duration::from_millis(40));
        let mut window = RecvWindow::new();
        assert_eq!(window.grow(start, rtt, 1 << 20, 1 << 30), 0, "no history");
        let soon = start + Duration::from_millis(79);
        assert_eq!(window.grow(soon, rtt, 1 << 20, 1 << 30), INITIAL_WINDOW);
        let slow = soon + Duration::from_millis(80);
        assert_eq!(window.grow(slow, rtt, 1 << 20, 1 << 30), 0, "too slow");
        assert_eq!(window.grow(slow, None, 1 << 20, 1 << 30), 0, "no rtt");
        assert_eq!(window.grow(slow, rtt, 1 << 20, 512 * 1024 - 1), 0, "spare");
        assert_eq!(window.grow(slow, rtt, 1 << 20, 512 * 1024), 512 * 1024);
        assert_eq!(window.grow(slow, rtt, 1 << 20, 1 << 30), 0, "at the cap");
        assert_eq!(window.grown(), (1 << 20) - INITIAL_WINDOW);
    }

    proptest! {
        /// Sent never exceeds granted and no byte of credit is made or lost.
        #[test]
        fn credit_is_conserved(steps in prop::collection::vec((0_u32..3, 0_u32..200_000), 0..200)) {
            let mut sender = SendWindow::new();
            let mut receiver = RecvWindow::new();
            let mut unread = 0_u32;
            for (what, n) in steps {
                match what {
                    0 => {
                        let sent = sender.take(n as usize, 64 * 1024);
                        receiver.take(sent).unwrap();
                        unread += sent;
                    }
                    1 => {
                        let n = n.min(unread);
                        unread -= n;
                        receiver.consume(n);
                    }
                    _ if receiver.is_due() => sender.grant(receiver.report(0)).unwrap(),
                    _ => {}
                }
                prop_assert_eq!(sender.left(), receiver.left());
                prop_assert_eq!(receiver.left() + unread + receiver.consumed, INITIAL_WINDOW);
            }
        }
    }
}
