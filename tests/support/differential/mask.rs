//! The rows of `docs/deviations.md` that a program can meet, and how each of them shows.
//!
//! A rule is as narrow as its row: what the client did, and what the two then answered.

use super::both::Both;
use super::item::{Item, Known};
use super::sight::{Line, Sight};
use super::step::{Damage, Move, Named, Request, Step, Then};
use crate::matrix::answer::End;
use crate::matrix::msgpack::Value;

/// Services that ours has.
const SERVED: [&str; 2] = ["Status", "KVS"];

/// A row, and whether it explains a difference.
struct Rule {
    id: &'static str,
    explains: fn(&Step, &Both<Sight>) -> bool,
}

/// What clients do that a row of the table is about.
const RULES: &[Rule] = &[
    Rule {
        id: "D1",
        explains: |step, seen| ends_empty(step) && only_consul_ended(seen),
    },
    Rule {
        id: "D2",
        explains: |step, seen| is_silent(step) && consul_heard_less(seen),
    },
    Rule {
        id: "D3",
        explains: |step, seen| uses_zero(step) && goes_away(seen),
    },
    Rule {
        id: "D8",
        explains: |step, seen| is_long(step) && seen.ours.is_silent() && hung_up(&seen.ours),
    },
    Rule {
        id: "D10",
        explains: |step, seen| is_unbuilt(step) && seen.ours.is_silent() && hung_up(&seen.ours),
    },
    Rule {
        id: "D13",
        explains: |step, seen| is_broken(step) && goes_away(seen) && ended(&seen.consul),
    },
    Rule {
        id: "D16",
        explains: |step, seen| half_closes(step) && only_acks_more(seen),
    },
    Rule {
        id: "D17",
        // Whether Consul answers before it hears of the reset is chance.
        explains: |step, seen| {
            resets_a_request(step) && (only_consul_ended(seen) || same_but_for_resets(step, seen))
        },
    },
    Rule {
        id: "D18",
        explains: |step, seen| has_negative_text(step) && refuses(&seen.ours, "codec.decoder: "),
    },
    Rule {
        id: "D21",
        explains: |step, seen| {
            let mut others = step.requests().into_iter().filter(|one| is_elsewhere(one));
            others.any(|one| {
                let method = String::from_utf8_lossy(&one.method);
                refuses(&seen.ours, &format!("rpc: can't find service {method}"))
            })
        },
    },
    Rule {
        id: "D23",
        explains: |step, seen| {
            waits_for_a_list(step)
                && deletes_a_tree(step)
                && seen.consul.is_silent()
                && !seen.ours.is_silent()
        },
    },
    Rule {
        id: "D24",
        explains: |step, seen| {
            waits_for_a_list(step) && lists_nothing(&seen.consul) && !lists_nothing(&seen.ours)
        },
    },
    Rule {
        id: "D29",
        explains: |step, _| speaks_behind_its_end(step),
    },
    Rule {
        id: "D30",
        explains: |step, seen| has_two_entries(step) && refuses(&seen.ours, "Must provide key"),
    },
    Rule {
        id: "D32",
        explains: |step, seen| {
            let ours = &seen.ours;
            let waits = ours.is_silent() && !hung_up(ours);
            let found = refuses(&seen.consul, "codec.decoder: ");
            let ended = refuses(ours, "EOF") || refuses(ours, "unexpected EOF");
            let gave_up = found || hung_up(&seen.consul);
            matches!(step, Step::Odd(_)) && (gave_up && waits || found && ended)
        },
    },
    Rule {
        id: "D33",
        // Errors are shown with what is not UTF-8 replaced, and that is what ours says.
        explains: |_, seen| {
            let errors = seen.map(Sight::errors);
            let replaced = |error: &String| {
                error.contains("Invalid KVS operation") && error.contains('\u{fffd}')
            };
            errors.ours == errors.consul && errors.ours.iter().any(replaced)
        },
    },
    Rule {
        id: "D35",
        explains: |step, seen| {
            let Both { consul, ours } = seen;
            let reset = consul.end == End::Rst && ours.end == End::Fin;
            let more = |line: &Line, than: &Line| line.data.starts_with(&than.data);
            let mut lines = consul.lines.iter();
            sends_much(step)
                && reset
                && !ours.errors().is_empty()
                && lines.all(|(number, line)| more(&ours.lines[number], line))
        },
    },
];

/// What Consul reads at once.
const ONE_READ: usize = 4096;
/// Room for what a rule does not know: the first byte, prefixes and indexes.
const OWN: usize = 256;

/// The row for data that is cut into other frames.
pub(crate) const FRAME_SIZES: &str = "D19";
/// The reply above which it counts.
pub(crate) const ONE_FRAME: usize = 4096;

/// The row that explains this difference, if there is one.
pub(crate) fn explains(step: &Step, seen: &Both<Sight>) -> Option<&'static str> {
    if let Step::Case(Named(case)) = step {
        return case.mask.map(|(id, _)| id);
    }
    let rule = RULES.iter().find(|rule| (rule.explains)(step, seen));
    rule.map(|rule| rule.id)
}

/// All rows that can be named.
pub(crate) fn ids() -> impl Iterator<Item = &'static str> {
    RULES.iter().map(|rule| rule.id).chain([FRAME_SIZES])
}

fn ended(sight: &Sight) -> bool {
    sight.end != End::Open
}

/// It ended the connection, or all lines that there are.
fn hung_up(sight: &Sight) -> bool {
    ended(sight) || sight.lines.values().all(|line| line.end != End::Open)
}

fn only_consul_ended(seen: &Both<Sight>) -> bool {
    ended(&seen.consul) && !ended(&seen.ours)
}

fn goes_away(seen: &Both<Sight>) -> bool {
    seen.ours.says("go-away 1") && seen.ours.end == End::Fin
}

fn refuses(sight: &Sight, text: &str) -> bool {
    sight.errors().iter().any(|error| error.starts_with(text))
}

fn consul_heard_less(seen: &Both<Sight>) -> bool {
    seen.consul.lines.len() < seen.ours.lines.len() && seen.consul.end == seen.ours.end
}

/// The same but for acknowledgements that only ours sent.
fn only_acks_more(seen: &Both<Sight>) -> bool {
    let Both { consul, ours } = seen;
    consul.end == ours.end
        && consul.lines.keys().eq(ours.lines.keys())
        && consul.lines.iter().all(|(number, line)| {
            let our = &ours.lines[number];
            (our.acked || !line.acked) && our.data == line.data && our.end == line.end
        })
}

/// The same but for streams that the client reset.
fn same_but_for_resets(step: &Step, seen: &Both<Sight>) -> bool {
    let is_reset =
        |number: u32| any_move(step, |one, _| matches!(one, Move::Rst(id) if *id == number));
    let others = |sight: &Sight| {
        let lines = sight.lines.iter().filter(|(number, _)| !is_reset(**number));
        let told = lines.map(|(number, line)| (*number, line.acked, line.data.clone(), line.end));
        told.collect::<Vec<_>>()
    };
    seen.consul.end == seen.ours.end && others(&seen.consul) == others(&seen.ours)
}

fn lists_nothing(sight: &Sight) -> bool {
    let nothing = [&b"\xa7Entries\xc0"[..], b"\xa4Keys\xc0"];
    sight.lines.values().any(|line| {
        let has = |what: &[u8]| line.data.windows(what.len()).any(|window| window == what);
        nothing.into_iter().any(has)
    })
}

fn is_unbuilt(step: &Step) -> bool {
    matches!(step, Step::Port(bytes) if matches!(bytes.first(), Some(1 | 3 | 5 | 7 | 8)))
}

fn is_long(step: &Step) -> bool {
    let long = |request: &&Request| request.method.len() > 512 || request.header().len() > 1024;
    step.requests().iter().any(long)
}

/// More than one read takes, over a connection of its own.
fn sends_much(step: &Step) -> bool {
    let size = |request: &Request| request.encode(&Known::default()).len();
    let requests = step.requests().into_iter();
    matches!(step, Step::Odd(_)) && requests.map(size).sum::<usize>() + OWN > ONE_READ
}

fn is_elsewhere(request: &Request) -> bool {
    let dot = request.method.iter().rposition(|byte| *byte == b'.');
    let service = dot.map(|at| &request.method[..at]);
    service.is_some_and(|service| SERVED.iter().all(|served| served.as_bytes() != service))
}

/// Fields that are text.
pub(crate) const TEXTS: [&str; 9] = [
    "Datacenter",
    "Key",
    "Prefix",
    "Seperator",
    "Token",
    "Filter",
    "Op",
    "Session",
    "Value",
];

fn has_negative_text(step: &Step) -> bool {
    let negative = |item: &Item| matches!(item, Item::Value(Value::Int(-32..=-1)));
    let mut found = false;
    for request in step.requests() {
        request.body.visit(&mut |item| {
            if let Item::Struct(fields) = item {
                found |= fields.iter().any(|(key, item)| {
                    negative(item) && TEXTS.iter().any(|name| key.is_text(name))
                });
            }
        });
    }
    found
}

fn has_two_entries(step: &Step) -> bool {
    step.requests().iter().any(|request| match &request.body {
        Item::Struct(fields) => {
            let entries = fields.iter().filter(|(key, _)| key.is_text("DirEnt"));
            entries.count() > 1
        }
        _ => false,
    })
}

fn waits_for_a_list(step: &Step) -> bool {
    let list = |request: &&Request| request.method.starts_with(b"KVS.List");
    matches!(step, Step::Waits(_)) && step.requests().iter().any(list)
}

fn deletes_a_tree(step: &Step) -> bool {
    let tree = Item::text("delete-tree");
    let writes = |request: &&Request| request.body.field("Op") == Some(&tree);
    step.requests().iter().any(writes)
}

/// What was said about a stream so far.
#[derive(Clone, Copy, Default)]
struct Stream {
    opened: bool,
    spoken: bool,
    finished: bool,
    reset: bool,
}

/// Each move of a session, with the state of its stream before.
fn moves(step: &Step) -> Vec<(&Move, Stream)> {
    let Step::Frames(moves) = step else {
        return Vec::new();
    };
    let mut streams = std::collections::BTreeMap::<u32, Stream>::new();
    let state = |one: &'_ Move| match one {
        Move::Open(id)
        | Move::Data(id, _)
        | Move::First(id, _)
        | Move::Fin(id)
        | Move::Rst(id)
        | Move::Credit(id, _) => Some(*id),
        _ => None,
    };
    let mut out = Vec::new();
    for one in moves {
        let Some(id) = state(one) else {
            out.push((one, Stream::default()));
            continue;
        };
        let stream = streams.entry(id).or_default();
        out.push((one, *stream));
        match one {
            Move::Open(_) => stream.opened = true,
            Move::Data(_, bytes) => stream.spoken |= stream.opened && !bytes.is_empty(),
            Move::First(_, bytes) => {
                stream.opened = true;
                stream.spoken |= !bytes.is_empty();
            }
            Move::Fin(_) => stream.finished = true,
            Move::Rst(_) => stream.reset = true,
            _ => {}
        }
    }
    out
}

fn any_move(step: &Step, holds: impl Fn(&Move, Stream) -> bool) -> bool {
    moves(step)
        .into_iter()
        .any(|(one, stream)| holds(one, stream))
}

fn ends_empty(step: &Step) -> bool {
    any_move(step, |one, stream| {
        matches!(one, Move::Fin(_) | Move::Rst(_)) && stream.opened && !stream.spoken
    })
}

fn is_silent(step: &Step) -> bool {
    let speaks = |id: u32| {
        any_move(
            step,
            |one, stream| matches!(one, Move::Data(of, bytes) if *of == id && stream.opened && !bytes.is_empty()),
        )
    };
    any_move(step, |one, _| matches!(one, Move::Open(id) if !speaks(*id)))
}

fn uses_zero(step: &Step) -> bool {
    any_move(step, |one, _| {
        matches!(one, Move::Open(0) | Move::Data(0, _) | Move::First(0, _))
    })
}

fn is_broken(step: &Step) -> bool {
    any_move(step, |one, stream| match one {
        Move::Broken(..) => true,
        Move::Open(_) | Move::First(..) => stream.opened,
        Move::Fin(_) => stream.finished,
        _ => false,
    })
}

fn half_closes(step: &Step) -> bool {
    any_move(step, |one, stream| {
        matches!(one, Move::Fin(_)) && stream.spoken
    })
}

fn resets_a_request(step: &Step) -> bool {
    let cut = match step {
        Step::Odd(odd) => matches!(odd.damage, Damage::Cut(_, Then::Reset)),
        _ => false,
    };
    cut || any_move(step, |one, stream| {
        matches!(one, Move::Rst(_)) && stream.spoken
    })
}

fn speaks_behind_its_end(step: &Step) -> bool {
    any_move(step, |one, stream| {
        matches!(one, Move::Data(..)) && stream.finished
    })
}
