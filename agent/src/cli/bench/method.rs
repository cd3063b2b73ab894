//! The methods that can be asked for: those whose right answer is known beforehand.

use clap::ValueEnum;

/// A method.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(super) enum Method {
    /// An empty question and an empty answer.
    #[value(name = "Status.Ping")]
    Ping,
    /// The leader's address.
    #[value(name = "Status.Leader")]
    Leader,
    /// Reads a key.
    #[value(name = "KVS.Get")]
    Get,
    /// Writes a key.
    #[value(name = "KVS.Apply")]
    Apply,
    /// Reads --list-size keys by their prefix.
    #[value(name = "KVS.List")]
    List,
    /// Reads the names of --list-size keys.
    #[value(name = "KVS.ListKeys")]
    ListKeys,
}

impl Method {
    /// As it goes over the wire.
    pub(super) fn name(self) -> &'static str {
        match self {
            Method::Ping => "Status.Ping",
            Method::Leader => "Status.Leader",
            Method::Get => "KVS.Get",
            Method::Apply => "KVS.Apply",
            Method::List => "KVS.List",
            Method::ListKeys => "KVS.ListKeys",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_says_what_the_wire_says() {
        for method in Method::value_variants() {
            let flag = method.to_possible_value().unwrap();
            assert_eq!(flag.get_name(), method.name());
        }
    }
}
