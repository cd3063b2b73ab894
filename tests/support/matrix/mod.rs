//! The matrices of a real Consul: odd inputs, and what came back.

pub(crate) mod answer;
pub(crate) mod ask;
pub(crate) mod file;
pub(crate) mod literal;
#[path = "../golden/msgpack.rs"]
pub(crate) mod msgpack;
pub(crate) mod netrpc;
pub(crate) mod peer;
pub(crate) mod port;
pub(crate) mod yamux;

use std::time::Duration;

/// How long the recording client listened, unless it said otherwise.
const LISTEN: Duration = Duration::from_millis(1500);

/// One thing that a client says, and how long it then listens.
#[derive(Clone, Debug)]
pub(crate) struct Turn {
    pub(crate) say: Vec<u8>,
    pub(crate) listen: Duration,
    /// Whether the recording tells the answer to this turn apart from that to the next one.
    pub(crate) apart: bool,
}

/// One case: what the client does, and where we differ on purpose.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) name: String,
    pub(crate) turns: Vec<Turn>,
    /// The row of `docs/deviations.md`, and what ours answers instead, in the form of the file.
    pub(crate) mask: Option<(&'static str, &'static str)>,
}

impl Case {
    /// A client that says this and listens.
    pub(crate) fn new(name: &str, say: Vec<u8>) -> Case {
        Case {
            name: name.to_owned(),
            turns: Vec::new(),
            mask: None,
        }
        .then(say)
    }

    /// Once answered, it says this too.
    pub(crate) fn then(mut self, say: Vec<u8>) -> Case {
        self.turns.push(Turn {
            say,
            listen: LISTEN,
            apart: false,
        });
        self
    }

    /// The same, and the recording has the answers in two parts.
    pub(crate) fn then_apart(mut self, say: Vec<u8>) -> Case {
        if let Some(last) = self.turns.last_mut() {
            last.apart = true;
        }
        self.then(say)
    }

    /// It listens so long after what it said last.
    pub(crate) fn listen(mut self, listen: Duration) -> Case {
        if let Some(last) = self.turns.last_mut() {
            last.listen = listen;
        }
        self
    }

    /// Ours differs on purpose, for the reason of this row, and answers this.
    pub(crate) fn ours(mut self, id: &'static str, answer: &'static str) -> Case {
        self.mask = Some((id, answer));
        self
    }
}
