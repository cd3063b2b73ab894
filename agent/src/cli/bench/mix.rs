//! Which methods are called, and how often in proportion.

use clap::ValueEnum;

use super::method::Method;

/// The largest weight of a method.
const LARGEST_WEIGHT: u32 = 1000;

/// Methods and their weights, each method once.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Mix(Vec<(Method, u32)>);

impl Mix {
    /// One method alone.
    pub(super) fn only(method: Method) -> Mix {
        Mix(vec![(method, 1)])
    }

    /// The methods and their weights, in the order in which they were given.
    pub(super) fn weights(&self) -> &[(Method, u32)] {
        &self.0
    }

    /// Whether it has this method.
    pub(super) fn has(&self, method: Method) -> bool {
        self.0.iter().any(|(other, _)| *other == method)
    }

    /// One round of calls, as indexes of [`weights`](Mix::weights): each as often as it weighs, and
    /// spread as evenly as that goes, so that every short run of calls is mixed like the whole.
    pub(super) fn round(&self) -> Vec<usize> {
        let total: u32 = self.0.iter().map(|(_, weight)| weight).sum();
        let mut debts = vec![0i64; self.0.len()];
        let next = |_| {
            for (debt, (_, weight)) in debts.iter_mut().zip(&self.0) {
                *debt += i64::from(*weight);
            }
            // Of those who are owed as much the first is served.
            let most = debts.iter().copied().max().unwrap_or(0);
            let served = debts.iter().position(|debt| *debt == most).unwrap_or(0);
            debts[served] -= i64::from(total);
            served
        };
        (0..total).map(next).collect()
    }
}

/// Reads `METHOD=WEIGHT,METHOD=WEIGHT…`.
pub(super) fn parse(text: &str) -> Result<Mix, String> {
    let mut mix = Mix(Vec::new());
    for part in text.split(',') {
        let (name, weight) = part
            .split_once('=')
            .ok_or_else(|| format!("{part:?} must be METHOD=WEIGHT, as in KVS.Get=8"))?;
        let method = method(name)?;
        let weight = match weight.parse() {
            Ok(weight @ 1..=LARGEST_WEIGHT) => weight,
            _ => {
                return Err(format!(
                    "the weight of {name} is {weight:?}, but it must be 1 to {LARGEST_WEIGHT}"
                ));
            }
        };
        if mix.has(method) {
            return Err(format!("{name} is there twice"));
        }
        mix.0.push((method, weight));
    }
    Ok(mix)
}

fn method(name: &str) -> Result<Method, String> {
    Method::from_str(name, true).map_err(|_| {
        let names: Vec<_> = Method::value_variants().iter().map(|m| m.name()).collect();
        format!("{name:?} is none of {}", names.join(", "))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_are_read() {
        let mix = parse("Status.Ping=1,KVS.Get=8").unwrap();
        assert_eq!(mix.weights(), [(Method::Ping, 1), (Method::Get, 8)]);
        assert_eq!(parse("KVS.List=1000").unwrap().weights()[0].1, 1000);
    }

    #[test]
    fn nonsense_is_named() {
        let refused = |text: &str| parse(text).unwrap_err();
        assert!(refused("").contains("METHOD=WEIGHT"));
        assert!(refused("KVS.Get").contains("\"KVS.Get\" must be METHOD=WEIGHT"));
        assert!(refused("KVS.Gat=1").contains("\"KVS.Gat\" is none of Status.Ping, "));
        for weight in ["0", "1001", "x", ""] {
            let text = format!("KVS.Get={weight}");
            assert!(refused(&text).contains("1 to 1000"), "{text}");
        }
        assert!(refused("KVS.Get=1,KVS.Get=2").contains("twice"));
    }

    #[test]
    fn a_round_is_mixed_evenly() {
        let mix = parse("KVS.Get=4,Status.Ping=1,KVS.Apply=1").unwrap();
        assert_eq!(mix.round(), [0, 0, 1, 0, 2, 0]);
        let counted = |n| mix.round().iter().filter(|i| **i == n).count();
        assert_eq!((counted(0), counted(1), counted(2)), (4, 1, 1));
        assert_eq!(Mix::only(Method::Get).round(), [0]);
    }
}
