//! What a probe says in the end.

/// Wants the closing line of a probe that found nothing wrong, in at least so many checks: one that
/// checks nothing would pass too.
#[track_caller]
pub(crate) fn assert_passed(who: &str, out: &str, least: u32) {
    let last = out.lines().last().unwrap_or_default();
    let passed: Option<u32> = last
        .strip_suffix(" checks passed")
        .and_then(|n| n.parse().ok());
    assert!(
        passed.is_some_and(|n| n >= least),
        "{who} ends with {last:?}, not with at least {least} checks that passed:\n{out}"
    );
    crate::tell::tell(&format!("{who}: {last}"));
}
