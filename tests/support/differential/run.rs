//! One run of a program on both, in lockstep, until they differ.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tokio::time::Instant;

use super::both::Both;
use super::case::kind_of;
use super::difference::Difference;
use super::item::{Item, Known};
use super::lockstep::{QUIET, is_fine, settle, until};
use super::ranks::Ranks;
use super::runner::Runner;
use super::sight::Sight;
use super::step::{Calls, Damage, Move, Odd, Request, Step, Then, Waits};
use super::talk::{Talk, Transport};
use super::waiting::Waiting;
use super::{compare, mask};
use crate::matrix::{answer::End, msgpack, msgpack::Value};

/// How long one may be slower with what the other gives up after 10 s: requests that stay cut (D6, D7).
const ODD_PATIENCE: Duration = Duration::from_secs(7);
/// Nearly every answer comes within this time.
const SOON: Duration = Duration::from_millis(300);
/// A connection that was compared stays so long, to see whether it changes.
const LINGER: Duration = Duration::from_millis(120);
/// So many connections linger; the servers count those of one source.
const LINGERING: usize = 40;

/// How many runs there were: each has keys of its own, below a prefix of always the same length.
static RUNS: AtomicU32 = AtomicU32::new(0);

/// A session that goes on from step to step.
struct Kept {
    talks: Both<Talk>,
    line: u32,
}

/// A connection that was compared, and is looked at once more when time has passed.
struct Lingering {
    talks: Both<Talk>,
    at: usize,
    step: Step,
    since: Instant,
}

/// A program under way.
pub(crate) struct Run<'a> {
    pub(crate) runner: &'a mut Runner,
    prefix: Vec<u8>,
    control: Both<Talk>,
    kept: BTreeMap<Transport, Kept>,
    lingering: Vec<Lingering>,
    ranks: Ranks,
    /// The number of the step.
    pub(crate) at: usize,
    /// How many writes only woke: each has a value of its own.
    wakes: usize,
}

impl<'a> Run<'a> {
    /// A run with keys of its own.
    pub(crate) async fn new(runner: &'a mut Runner) -> Run<'a> {
        let control = runner.open(Transport::Plain).await;
        let prefix = format!("df-{:08x}/", RUNS.fetch_add(1, Ordering::Relaxed)).into_bytes();
        Run {
            runner,
            prefix,
            control,
            kept: BTreeMap::new(),
            lingering: Vec::new(),
            ranks: Ranks::default(),
            at: 0,
            wakes: 0,
        }
    }

    /// Deletes all keys and writes one, so that the index is not the first.
    pub(crate) async fn clean(&mut self) -> Result<(), Difference> {
        for (op, key) in [("delete-tree", ""), ("set", "df"), ("delete", "df")] {
            let entry = Item::fields([("Key", Item::text(key))]);
            let body = Item::fields([("Op", Item::text(op)), ("DirEnt", entry)]);
            let bytes = Request::new(1, "KVS.Apply", body).encode(&Known::default());
            let seen = self.ask(&Both::new(bytes.clone(), bytes)).await;
            if let Err(place) = compare::sights(&seen, &self.runner.names) {
                return Err(self.difference(place, &seen));
            }
        }
        Ok(())
    }

    pub(crate) async fn step(&mut self, step: &Step) -> Result<(), Difference> {
        match step {
            Step::Calls(calls) => self.calls(step, calls).await?,
            Step::Odd(odd) => self.odd(step, odd).await?,
            Step::Waits(waits) => self.waits(step, waits).await?,
            Step::Port(bytes) => self.port(step, bytes).await?,
            Step::Frames(moves) => {
                let frames: Vec<u8> = moves.iter().flat_map(Move::encode).collect();
                let mut talks = self.runner.open(Transport::Yamux).await;
                for talk in talks.each() {
                    talk.say(&frames).await;
                }
                self.visited(step, talks, QUIET).await?;
            }
            Step::Case(case) => {
                let mut talks = self.runner.raw(kind_of(&case.0.turns)).await;
                for turn in &case.0.turns {
                    for talk in talks.each() {
                        talk.say(&turn.say).await;
                    }
                    self.settle(step, &mut talks, QUIET).await;
                }
                self.visited(step, talks, QUIET).await?;
            }
        }
        self.look_at_lingering(false).await
    }

    /// One request over the connection that nothing else uses, and its answer.
    async fn ask(&mut self, bytes: &Both<Vec<u8>>) -> Both<Sight> {
        let talks = &mut self.control;
        for (talk, bytes) in talks.each().into_iter().zip([&bytes.consul, &bytes.ours]) {
            talk.begin(0);
            talk.send(0, bytes).await;
        }
        until(talks, self.runner.patience, |talk| {
            talk.replies(0) > 0 || talk.ended()
        })
        .await;
        let mut seen = talks.map(|talk| talk.line_sight(0));
        if seen.any(|sight| !sight.errors().is_empty() || sight.end != End::Open) {
            *talks = self.runner.open(Transport::Plain).await;
        }
        // Whether an error ends the connection is for other steps to see.
        for sight in seen.each().into_iter().filter(|sight| !sight.is_silent()) {
            sight.end = End::Open;
        }
        seen
    }

    /// The bytes of a request for each, with what each one says about its items.
    async fn encode(
        &mut self,
        step: &Step,
        request: &Request,
    ) -> Result<Both<Vec<u8>>, Difference> {
        let (mut keys, mut now) = (Vec::new(), false);
        request.body.visit(&mut |item| match item {
            Item::ModifyIndex(key, _) => keys.push(key.clone()),
            Item::Now(_) => now = true,
            _ => {}
        });
        let known = Known {
            prefix: self.prefix.clone(),
            ..Known::default()
        };
        let mut both = Both::new(known.clone(), known);
        for key in keys {
            let body = Item::fields([("Key", Item::Own(key.clone()))]);
            let found = self.look(step, &Request::new(1, "KVS.Get", body)).await?;
            let modified = found.map(|body| {
                let index = body.at("Entries[0].ModifyIndex");
                index.and_then(Value::as_u64).unwrap_or(0)
            });
            both.consul.modified.insert(key.clone(), modified.consul);
            both.ours.modified.insert(key, modified.ours);
        }
        if now {
            let once = Request {
                body: request
                    .body
                    .without("MinQueryIndex")
                    .without("MaxQueryTime"),
                ..request.clone()
            };
            let found = self.look(step, &once).await?;
            let index = found.map(|body| body.at("Index").and_then(Value::as_u64).unwrap_or(0));
            (both.consul.now, both.ours.now) = (index.consul, index.ours);
        }
        Ok(both.map(|known| request.encode(known)))
    }

    /// The body of an answer that is needed to go on; it too has to be equal.
    async fn look(&mut self, step: &Step, request: &Request) -> Result<Both<Value>, Difference> {
        let known = Known {
            prefix: self.prefix.clone(),
            ..Known::default()
        };
        let bytes = request.encode(&known);
        let seen = self.ask(&Both::new(bytes.clone(), bytes)).await;
        self.judge(step, &seen)?;
        Ok(seen.map(|sight| {
            let line = sight.lines.values().next();
            let reply = line.and_then(|line| msgpack::decode_pair(&line.data).ok());
            reply.map_or(Value::Nil, |(_, body, _)| body)
        }))
    }

    /// Whether it is the same, or a row says why not: then it is true that it differs.
    fn judge(&mut self, step: &Step, seen: &Both<Sight>) -> Result<bool, Difference> {
        let place = match compare::sights(seen, &self.runner.names) {
            Ok(pairs) => {
                let mut ranks = self.ranks.clone();
                if pairs.iter().all(|pair| ranks.add(pair)) {
                    self.ranks = ranks;
                    return self.sizes(seen).map(|()| false);
                }
                "the order of indexes".to_owned()
            }
            Err(place) => place,
        };
        if let Some(id) = mask::explains(step, seen) {
            self.runner.mask(id);
            self.runner.masked_at.insert(self.at);
            return Ok(true);
        }
        Err(self.difference(place, seen))
    }

    fn difference(&self, place: String, seen: &Both<Sight>) -> Difference {
        Difference {
            at: self.at,
            place,
            seen: Box::new(seen.clone()),
        }
    }

    /// A reply is one frame, or D19 says how else it is cut.
    fn sizes(&mut self, seen: &Both<Sight>) -> Result<(), Difference> {
        for (number, line) in &seen.consul.lines {
            let ours = &seen.ours.lines[number];
            // How long a reply is depends on the width of its indexes.
            if line.sizes.len() == ours.sizes.len() {
                continue;
            }
            // Frames of several replies are not told apart.
            let longest = replies(&line.data).into_iter().max().unwrap_or(0);
            if longest > mask::ONE_FRAME {
                self.runner.mask(mask::FRAME_SIZES);
            } else if replies(&line.data).len() == 1 {
                let place = format!("frames of {:?} and {:?} bytes", line.sizes, ours.sizes);
                return Err(self.difference(place, seen));
            }
        }
        Ok(())
    }

    async fn calls(&mut self, step: &Step, calls: &Calls) -> Result<(), Difference> {
        let mut bytes = Both::<Vec<u8>>::default();
        for request in &calls.requests {
            let one = self.encode(step, request).await?;
            bytes.consul.extend(one.consul);
            bytes.ours.extend(one.ours);
        }
        let mut kept = self.keep(calls.on, calls.fresh).await;
        let line = kept.line;
        let cuts = &calls.cuts;
        for (talk, bytes) in kept
            .talks
            .each()
            .into_iter()
            .zip([&bytes.consul, &bytes.ours])
        {
            talk.begin(line);
            for piece in pieces(bytes, cuts) {
                talk.send(line, piece).await;
            }
        }
        let wanted = calls.requests.len();
        until(&mut kept.talks, self.runner.patience, |talk| {
            talk.replies(line) >= wanted || talk.end(line) != End::Open
        })
        .await;
        let seen = kept.talks.map(|talk| talk.line_sight(line));
        let failed = seen.any(|sight| !sight.errors().is_empty());
        if self.judge(step, &seen)? || !failed {
            if !failed {
                self.kept.insert(calls.on, kept);
            }
            return Ok(());
        }
        self.probe(step, calls.on, kept).await
    }

    /// Whether the line ended behind an error: a ping tells, or the end.
    async fn probe(
        &mut self,
        step: &Step,
        on: Transport,
        mut kept: Kept,
    ) -> Result<(), Difference> {
        let line = kept.line;
        let seen = kept.talks.map(|talk| talk.line_sight(line));
        let ends = |text: &String| text.starts_with("rpc: ") || text.starts_with("codec.");
        if seen.any(|sight| sight.errors().iter().any(ends)) {
            until(&mut kept.talks, self.runner.patience, |talk| {
                talk.end(line) != End::Open
            })
            .await;
        } else {
            let ping = Request::new(77, "Status.Ping", Item::fields([]));
            let ping = ping.encode(&Known::default());
            for talk in kept.talks.each() {
                talk.begin(line);
                talk.send(line, &ping).await;
            }
            until(&mut kept.talks, self.runner.patience, |talk| {
                talk.replies(line) > 0 || talk.end(line) != End::Open
            })
            .await;
        }
        let seen = kept.talks.map(|talk| talk.line_sight(line));
        self.judge(step, &seen)?;
        if kept.talks.all(|talk| talk.end(line) == End::Open) {
            self.kept.insert(on, kept);
        } else if kept.talks.all(|talk| !talk.ended()) {
            self.next_line(&mut kept).await;
            self.kept.insert(on, kept);
        }
        Ok(())
    }

    async fn keep(&mut self, on: Transport, fresh: bool) -> Kept {
        match self.kept.remove(&on) {
            Some(kept) if on == Transport::Plain && fresh => {
                // The old one goes with its guard.
                drop(kept);
            }
            Some(mut kept) => {
                if fresh {
                    self.next_line(&mut kept).await;
                }
                return kept;
            }
            None => {}
        }
        let mut talks = self.runner.open(on).await;
        let mut line = 0;
        for talk in talks.each() {
            line = talk.line().await;
        }
        Kept { talks, line }
    }

    async fn next_line(&mut self, kept: &mut Kept) {
        let old = kept.line;
        for talk in kept.talks.each() {
            talk.finish(old).await;
        }
        // Both end their side too.
        until(&mut kept.talks, self.runner.patience, |talk| {
            talk.end(old) != End::Open
        })
        .await;
        for talk in kept.talks.each() {
            talk.forget(old);
            kept.line = talk.line().await;
        }
    }

    async fn odd(&mut self, step: &Step, odd: &Odd) -> Result<(), Difference> {
        let mut bytes = Both::<Vec<u8>>::default();
        for request in &odd.requests {
            let one = self.encode(step, request).await?;
            bytes.consul.extend(one.consul);
            bytes.ours.extend(one.ours);
        }
        for bytes in bytes.each() {
            odd.damage.apply(bytes);
        }
        let mut talks = self.runner.open(odd.on).await;
        let mut line = 0;
        for (talk, bytes) in talks.each().into_iter().zip([&bytes.consul, &bytes.ours]) {
            line = talk.line().await;
            talk.send(line, bytes).await;
        }
        let wanted = odd.requests.len();
        match odd.damage {
            Damage::Cut(_, then) if then != Then::Silence => {
                until(&mut talks, self.runner.patience, |talk| talk.is_acked(line)).await;
                for talk in talks.each() {
                    match then {
                        Then::Reset => talk.reset(line).await,
                        Then::HangUp => talk.hang_up().await,
                        _ => talk.finish(line).await,
                    }
                }
            }
            Damage::None => {
                let answered =
                    |talk: &mut Talk| talk.replies(line) >= wanted || talk.end(line) != End::Open;
                until(&mut talks, SOON, answered).await;
                // A row may say that one of them will not answer.
                if !is_fine(step, &talks.map(Talk::sight), &self.runner.names) {
                    until(&mut talks, self.runner.patience, answered).await;
                }
            }
            _ => {}
        }
        let quiet = match odd.damage {
            Damage::None => Duration::from_millis(1),
            // It may yet change what later steps read.
            _ if odd.requests.iter().any(|one| one.method == b"KVS.Apply") => 6 * QUIET,
            _ => QUIET,
        };
        self.visited(step, talks, quiet).await
    }

    async fn port(&mut self, step: &Step, bytes: &[u8]) -> Result<(), Difference> {
        let kind = if bytes.first() == Some(&4) {
            Transport::Yamux
        } else {
            Transport::Plain
        };
        let mut talks = self.runner.raw(kind).await;
        for talk in talks.each() {
            talk.say(bytes).await;
        }
        self.visited(step, talks, QUIET).await
    }

    async fn settle(&self, step: &Step, talks: &mut Both<Talk>, quiet: Duration) {
        let addrs = &self.runner.names;
        let fine = |seen: &Both<Sight>| is_fine(step, seen, addrs);
        settle(talks, quiet, self.runner.patience.min(ODD_PATIENCE), fine).await;
    }

    /// Compares what a connection of its own has brought, and keeps it to look again.
    async fn visited(
        &mut self,
        step: &Step,
        mut talks: Both<Talk>,
        quiet: Duration,
    ) -> Result<(), Difference> {
        self.settle(step, &mut talks, quiet).await;
        let seen = talks.map(Talk::sight);
        if !self.judge(step, &seen)? && !talks.all(Talk::ended) {
            self.lingering.push(Lingering {
                talks,
                at: self.at,
                step: step.clone(),
                since: Instant::now(),
            });
        }
        Ok(())
    }

    /// Looks at the connections whose time has come once more.
    pub(crate) async fn look_at_lingering(&mut self, all: bool) -> Result<(), Difference> {
        while let Some(oldest) = self.lingering.first() {
            let due = oldest.since + LINGER;
            let is_due = all || self.lingering.len() > LINGERING || Instant::now() >= due;
            if !is_due {
                break;
            }
            let mut oldest = self.lingering.remove(0);
            let left = due.saturating_duration_since(Instant::now());
            let quiet = left.max(Duration::from_millis(1));
            self.settle(&oldest.step, &mut oldest.talks, quiet).await;
            let now = std::mem::replace(&mut self.at, oldest.at);
            let seen = oldest.talks.map(Talk::sight);
            self.judge(&oldest.step, &seen)?;
            self.at = now;
        }
        Ok(())
    }

    async fn waits(&mut self, step: &Step, waits: &Waits) -> Result<(), Difference> {
        let mut asked: Vec<(Transport, Request)> = waits.queries.clone();
        if waits.write.is_some() {
            // Once the last one has waited, those before it do.
            let used = |on: &Transport| waits.queries.iter().any(|(one, _)| one == on);
            let both = [Transport::Plain, Transport::Yamux].into_iter();
            asked.extend(both.filter(used).map(|on| (on, marker())));
        }
        let mut queries = Vec::new();
        for (on, request) in &asked {
            queries.push((*on, request, self.encode(step, request).await?));
        }
        let mut waiting = Waiting::new(self.runner, queries).await;
        waiting.until_short_ones_end(self.runner.patience).await;
        waiting
            .until_fine(
                step,
                &self.runner.names,
                Duration::ZERO,
                self.runner.patience,
            )
            .await;
        self.judge_waiting(step, &mut waiting)?;
        if let Some(place) = waiting.early() {
            return Err(self.difference(place, &waiting.seen(0)));
        }
        if let Some(write) = &waits.write {
            self.look(step, write).await?;
            waiting
                .until_fine(step, &self.runner.names, QUIET, self.runner.patience)
                .await;
            self.judge_waiting(step, &mut waiting)?;
        }
        self.wake(step, &mut waiting).await?;
        waiting.leave().await;
        Ok(())
    }

    /// Writes what each query that still waits is about, so that none is left behind. Which of the
    /// writes a query then tells of is chance; that both answer is not.
    async fn wake(&mut self, step: &Step, waiting: &mut Waiting) -> Result<(), Difference> {
        let pending: Vec<usize> = waiting.pending().collect();
        // Twice, because a query may ask for the index behind the next one.
        for number in pending.iter().chain(&pending) {
            self.wakes += 1;
            let value = Item::text(&format!("wake {}", self.wakes));
            let key = waiting.asked[*number].about.clone();
            let entry = Item::fields([("Key", key), ("Value", value)]);
            let body = Item::fields([("DirEnt", entry), ("Op", Item::text("set"))]);
            self.look(step, &Request::new(1, "KVS.Apply", body)).await?;
        }
        waiting.until_answered(&pending, self.runner.patience).await;
        for number in pending {
            let seen = waiting.seen(number);
            if seen.any(Sight::is_silent) {
                return Err(self.difference("a query that was to be woken".to_owned(), &seen));
            }
        }
        Ok(())
    }

    /// Judges each query by itself: a row is about one of them.
    fn judge_waiting(&mut self, step: &Step, waiting: &mut Waiting) -> Result<(), Difference> {
        for number in 0..waiting.asked.len() {
            if waiting.asked[number].masked {
                continue;
            }
            let seen = waiting.seen(number);
            waiting.asked[number].masked = self.judge(step, &seen)?;
        }
        Ok(())
    }
}

/// A query for a moment: nothing changes what it is about.
fn marker() -> Request {
    let body = Item::fields([
        ("Key", Item::Own(b"marker".to_vec())),
        ("MinQueryIndex", Item::uint(u64::MAX)),
        ("MaxQueryTime", Item::uint(20_000_000)),
    ]);
    Request::new(1, "KVS.Get", body)
}

/// The sizes of replies.
fn replies(mut data: &[u8]) -> Vec<usize> {
    let mut sizes = Vec::new();
    while let Ok((_, _, rest)) = msgpack::decode_pair(data) {
        sizes.push(data.len() - rest.len());
        data = rest;
        if data.is_empty() {
            break;
        }
    }
    sizes
}

/// The parts of what is cut there.
fn pieces<'a>(bytes: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut ends: Vec<usize> = cuts.iter().map(|cut| cut % bytes.len().max(1)).collect();
    ends.push(bytes.len());
    ends.sort_unstable();
    let mut from = 0;
    let mut pieces = Vec::new();
    for end in ends {
        if end > from {
            pieces.push(&bytes[from..end]);
            from = end;
        }
    }
    pieces
}

impl Damage {
    fn apply(self, bytes: &mut Vec<u8>) {
        let size = bytes.len().max(1);
        match self {
            Damage::None => {}
            Damage::Flip(at, byte) => bytes[at % size] = byte,
            // Something is always said: a stream that ends before it speaks is D1.
            Damage::Cut(at, _) => bytes.truncate((at % size).max(1)),
        }
    }
}
