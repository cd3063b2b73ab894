//! What makes a test fail: the step, the place, and what both said.

use std::fmt;

use super::both::Both;
use super::sight::Sight;

/// Where the two differ.
#[derive(Clone, Debug)]
pub(crate) struct Difference {
    /// The number of the step.
    pub(crate) at: usize,
    pub(crate) place: String,
    pub(crate) seen: Box<Both<Sight>>,
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "step {} differs in {}", self.at + 1, self.place)?;
        writeln!(f, "  Consul:\n    {}", indented(&self.seen.consul))?;
        write!(f, "  ours:\n    {}", indented(&self.seen.ours))
    }
}

fn indented(sight: &Sight) -> String {
    sight.to_string().replace('\n', "\n    ")
}
