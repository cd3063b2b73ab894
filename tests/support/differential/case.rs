//! A recorded case, played to both.

use std::net::SocketAddr;

use super::both::Both;
use super::compare;
use super::lockstep::{PATIENCE, settle};
use super::ranks::Ranks;
use super::sight::Sight;
use super::talk::{Talk, Transport};
use crate::matrix::{Case, Turn};

/// Plays a recorded case to both, and says whether they answered alike.
pub(crate) async fn play(
    addrs: &Both<SocketAddr>,
    case: &Case,
) -> (Both<Sight>, Result<(), String>) {
    let kind = kind_of(&case.turns);
    let consul = Talk::raw(addrs.consul, kind).await;
    let ours = Talk::raw(addrs.ours, kind).await;
    let (consul, ours) = (consul.expect("Consul listens"), ours.expect("ours listens"));
    let mut talks = Both::new(consul.mute(), ours.mute());
    let differs = case.mask.is_some();
    let fine = |seen: &Both<Sight>| differs || compare::sights(seen, addrs).is_ok();
    for turn in &case.turns {
        for talk in talks.each() {
            talk.say(&turn.say).await;
        }
        settle(&mut talks, turn.listen, PATIENCE, fine).await;
    }
    let seen = talks.map(Talk::sight);
    let ranked = compare::sights(&seen, addrs).and_then(|pairs| {
        let mut ranks = Ranks::default();
        let fits = pairs.iter().all(|pair| ranks.add(pair));
        fits.then_some(()).ok_or("the order of indexes".to_owned())
    });
    (seen, ranked)
}

/// Frames are read where frames were asked for.
pub(crate) fn kind_of(turns: &[Turn]) -> Transport {
    let first = turns.first().and_then(|turn| turn.say.first());
    if first == Some(&4) {
        Transport::Yamux
    } else {
        Transport::Plain
    }
}
