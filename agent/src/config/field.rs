//! The types of settings: where a value lives, what it may be, and how it is read and shown.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use oneport::{
    layers::{
        auth::{Networks, Rules},
        bucket::{HIGHEST_RATE, LOWEST_RATE, Limit, Rate},
    },
    proto::Token,
};

use super::{
    Config, LONGEST_NAME,
    acl::{self, TokenConfig},
    document::{Node, Place, Value},
    span::{self, Span},
};

/// Where a setting lives: one way in serves reading and writing.
pub type Lens<T> = fn(&mut Config) -> &mut T;

/// A setting's type, its place among the settings, and its limits.
#[derive(Clone, Copy, Debug)]
pub enum Field {
    /// A name that has to fit in DNS and in log lines: Consul's rule.
    Name(Lens<String>),
    /// A truth value.
    Flag(Lens<bool>),
    /// A whole number and the smallest and largest that it may be.
    Whole(Whole, u64, u64),
    /// A span of time and the shortest and longest that it may be.
    Span(Spanned, Duration, Duration),
    /// An IP address.
    Address(Lens<IpAddr>),
    /// An IP address that others can reach; empty for none.
    Reachable(Lens<Option<IpAddr>>),
    /// An IP address with a port; empty for none.
    Socket(Lens<Option<SocketAddr>>),
    /// A path and the most bytes that it may have; empty for none.
    Path(Lens<Option<PathBuf>>, usize),
    /// Who may do what with a file, as octal digits.
    Mode(Lens<u32>),
    /// One of some words.
    Choice(Choice),
    /// How often something may happen in a second; -1 for no limit.
    Rate(Rated),
    /// The secret of a token; empty for none. It is never shown.
    Secret(Lens<Option<Token>>),
    /// Tokens and what they may do. Those of several files are put together.
    Tokens(Lens<Vec<TokenConfig>>),
    /// What somebody may do.
    Rules(Lens<Rules>),
    /// Networks. Those of several files are put together.
    Networks(Lens<Vec<String>>),
}

/// A rate that has a burst of its own, or one whose burst is a second's worth.
#[derive(Clone, Copy, Debug)]
pub enum Rated {
    /// The burst is another setting, or there is none.
    Alone(Lens<Rate>),
    /// The burst comes with it.
    WithBurst(Lens<Limit>),
}

/// What is not allowed, and where.
#[derive(Clone, Debug, PartialEq)]
pub struct Misfit {
    /// Where it is, if it is only a part of what was given.
    pub place: Option<Place>,
    /// Which part it is, as what is appended to the setting's key.
    pub part: String,
    /// The value; secrets are not shown.
    pub value: String,
    /// What it must be.
    pub limit: String,
}

/// A whole number of one of the types that settings have.
#[derive(Clone, Copy, Debug)]
pub enum Whole {
    /// A port.
    U16(Lens<u16>),
    /// A number a second, or a window.
    U32(Lens<u32>),
    /// A count in a computation.
    U64(Lens<u64>),
    /// A count of things in memory.
    Usize(Lens<usize>),
}

/// A span of time, or one that may be missing, which is 0 in a file.
#[derive(Clone, Copy, Debug)]
pub enum Spanned {
    /// Always there.
    Some(Lens<Duration>),
    /// In whole seconds.
    Seconds(Lens<Duration>),
    /// 0 is none.
    Maybe(Lens<Option<Duration>>),
}

/// One of some words.
#[derive(Clone, Copy, Debug)]
pub struct Choice {
    /// The words.
    pub words: &'static [&'static str],
    /// Which one it is; empty for none of them.
    pub get: fn(&Config) -> &'static str,
    /// Makes it one of [`words`](Choice::words), or none of them for an empty word.
    pub set: fn(&mut Config, &str),
}

impl Field {
    /// The name of the type, for tables and errors.
    pub fn kind(&self) -> &'static str {
        match self {
            Field::Name(_) => "name",
            Field::Flag(_) => "boolean",
            Field::Whole(..) => "number",
            Field::Span(..) => "duration",
            Field::Address(_) | Field::Reachable(_) => "address",
            Field::Socket(_) => "address with port",
            Field::Path(..) => "path",
            Field::Mode(_) => "mode",
            Field::Choice(_) => "word",
            Field::Rate(_) => "rate",
            Field::Secret(_) => "secret",
            Field::Tokens(_) => "list of tokens",
            Field::Rules(_) => "rules",
            Field::Networks(_) => "list of networks",
        }
    }

    /// What a value must be, as the end of a sentence.
    pub fn allowed(&self) -> String {
        match self {
            Field::Name(_) => format!("1 to {LONGEST_NAME} of a-z, A-Z, 0-9, - and _"),
            Field::Flag(_) => "true or false".to_owned(),
            Field::Whole(_, 0, u64::MAX) => "a whole number, 0 or more".to_owned(),
            Field::Whole(_, least, u64::MAX) => format!("a whole number, {least} or more"),
            Field::Whole(_, least, most) => format!("a whole number from {least} to {most}"),
            Field::Span(at, least, most) => {
                let zero = match at {
                    Spanned::Maybe(_) => ", or \"0s\" for none",
                    _ => "",
                };
                let whole = match at {
                    Spanned::Seconds(_) => "whole seconds",
                    _ => "a duration like \"10s\" or \"1m30s\"",
                };
                let (least, most) = (Span(*least), Span(*most));
                format!("{whole}, {least} to {most}{zero}")
            }
            Field::Address(_) => "an IP address like \"127.0.0.1\" or \"::1\"".to_owned(),
            Field::Reachable(_) => {
                "an IP address that others can reach, or \"\" for none".to_owned()
            }
            Field::Socket(_) => {
                "an IP address with a port like \"127.0.0.1:9100\", or \"\" for none".to_owned()
            }
            Field::Path(_, most) => format!("a path of at most {most} bytes, or \"\" for none"),
            Field::Mode(_) => "octal digits like \"0660\", 0001 to 0777".to_owned(),
            Field::Choice(choice) => format!("one of {}", choice.words.join(", ")),
            Field::Rate(_) => {
                format!("a number a second, {LOWEST_RATE:.7} to {HIGHEST_RATE}, or -1 for no limit")
            }
            Field::Secret(_) => acl::SECRET.to_owned(),
            Field::Tokens(_) => acl::TOKENS.to_owned(),
            Field::Rules(_) => acl::RULES.to_owned(),
            Field::Networks(_) => acl::NETWORKS.to_owned(),
        }
    }

    /// The value that a configuration has.
    pub fn get(&self, config: &Config) -> Value {
        // A lens is one function for both directions, so it wants something that it may change.
        let config = &mut config.clone();
        match self {
            Field::Name(at) => Value::Text(at(config).clone()),
            Field::Flag(at) => Value::Flag(*at(config)),
            Field::Whole(at, ..) => Value::Whole(at.get(config).into()),
            Field::Span(at, ..) => Value::Text(Span(at.get(config)).to_string()),
            Field::Address(at) => Value::Text(at(config).to_string()),
            Field::Reachable(at) => Value::Text(shown(at(config))),
            Field::Socket(at) => Value::Text(shown(at(config))),
            Field::Path(at, _) => {
                let path = at(config).as_ref().map(|path| path.display());
                Value::Text(shown(&path))
            }
            Field::Mode(at) => Value::Text(format!("{:04o}", at(config))),
            Field::Choice(choice) => Value::Text((choice.get)(config).to_owned()),
            Field::Rate(at) => rate(at.get(config)),
            // What is in these is nobody's business; that they are there is.
            Field::Secret(at) => Value::Text(at(config).as_ref().map_or("", |_| HIDDEN).to_owned()),
            Field::Tokens(at) => counted(at(config).len(), "token"),
            Field::Rules(at) => {
                let rules = at(config);
                let all = [&rules.key, &rules.key_prefix, &rules.method_prefix];
                counted(all.iter().map(|rules| rules.len()).sum(), "rule")
            }
            Field::Networks(at) => {
                let text = |network: &String| Node::of(Value::Text(network.clone()));
                Value::List(at(config).iter().map(text).collect())
            }
        }
    }

    /// Whether its value is fit for eyes.
    pub fn is_shown(&self) -> bool {
        !matches!(self, Field::Secret(_) | Field::Tokens(_) | Field::Rules(_))
    }

    /// Whether two configurations have the same value.
    pub fn same(&self, one: &Config, other: &Config) -> bool {
        let (one, other) = (&mut one.clone(), &mut other.clone());
        match self {
            Field::Secret(at) => at(one) == at(other),
            Field::Tokens(at) => at(one) == at(other),
            Field::Rules(at) => at(one) == at(other),
            _ => self.get(one) == self.get(other),
        }
    }

    /// Gives a configuration this value.
    ///
    /// # Errors
    /// What of it is not [allowed](Field::allowed); then nothing is changed.
    pub fn set(&self, config: &mut Config, node: &Node) -> Result<(), Misfit> {
        match self {
            Field::Tokens(at) => at(config).extend(acl::tokens(node)?),
            Field::Rules(at) => *at(config) = acl::rules(node)?,
            Field::Networks(at) => at(config).extend(acl::networks(node)?),
            _ => {
                let set = self.set_plain(config, &node.value);
                return set.ok_or_else(|| self.misfit(node));
            }
        }
        Ok(())
    }

    fn misfit(&self, node: &Node) -> Misfit {
        let value = match self {
            Field::Secret(_) => HIDDEN.to_owned(),
            _ => node.value.to_string(),
        };
        Misfit {
            place: None,
            part: String::new(),
            value,
            limit: self.allowed(),
        }
    }

    fn set_plain(&self, config: &mut Config, value: &Value) -> Option<()> {
        match self {
            Field::Name(at) => *at(config) = name(text(value)?)?.to_owned(),
            Field::Flag(at) => match value {
                Value::Flag(flag) => *at(config) = *flag,
                _ => return None,
            },
            Field::Whole(at, least, most) => match value {
                Value::Whole(number) => {
                    let number = u64::try_from(*number).ok()?;
                    within(number, *least, *most)?;
                    at.set(config, number)?;
                }
                _ => return None,
            },
            Field::Span(at, least, most) => {
                let span = span::parse(text(value)?)?;
                at.set(config, span, *least, *most)?;
            }
            Field::Address(at) => *at(config) = text(value)?.parse().ok()?,
            Field::Reachable(at) => {
                let address: Option<IpAddr> = parsed(text(value)?)?;
                if address.is_some_and(|ip| ip.is_unspecified()) {
                    return None;
                }
                *at(config) = address;
            }
            Field::Socket(at) => *at(config) = parsed(text(value)?)?,
            Field::Path(at, most) => {
                let path = text(value)?;
                within(path.len(), 0, *most)?;
                *at(config) = (!path.is_empty()).then(|| PathBuf::from(path));
            }
            Field::Mode(at) => *at(config) = mode(text(value)?)?,
            Field::Choice(choice) => {
                let word = text(value)?.to_ascii_lowercase();
                let known = choice.words.iter().find(|known| **known == word)?;
                (choice.set)(config, known);
            }
            Field::Rate(at) => {
                let rate = match value {
                    Value::Whole(number) => number.to_string().parse().ok()?,
                    Value::Number(number) => *number,
                    _ => return None,
                };
                at.set(config, Rate::from_setting(rate).ok()?);
            }
            Field::Secret(at) => {
                let secret = acl::secret(text(value)?)?;
                *at(config) = secret;
            }
            Field::Tokens(_) | Field::Rules(_) | Field::Networks(_) => return None,
        }
        Some(())
    }

    /// Gives `to` the value that `from` has, as it is.
    pub fn copy(&self, from: &Config, to: &mut Config) {
        let from = &mut from.clone();
        match self {
            Field::Name(at) => carry(*at, from, to),
            Field::Flag(at) => carry(*at, from, to),
            Field::Whole(Whole::U16(at), ..) => carry(*at, from, to),
            Field::Whole(Whole::U32(at), ..) => carry(*at, from, to),
            Field::Whole(Whole::U64(at), ..) => carry(*at, from, to),
            Field::Whole(Whole::Usize(at), ..) => carry(*at, from, to),
            Field::Span(Spanned::Some(at) | Spanned::Seconds(at), ..) => carry(*at, from, to),
            Field::Span(Spanned::Maybe(at), ..) => carry(*at, from, to),
            Field::Address(at) => carry(*at, from, to),
            Field::Reachable(at) => carry(*at, from, to),
            Field::Socket(at) => carry(*at, from, to),
            Field::Path(at, _) => carry(*at, from, to),
            Field::Mode(at) => carry(*at, from, to),
            Field::Choice(choice) => (choice.set)(to, (choice.get)(from)),
            Field::Rate(Rated::Alone(at)) => carry(*at, from, to),
            Field::Rate(Rated::WithBurst(at)) => carry(*at, from, to),
            Field::Secret(at) => carry(*at, from, to),
            Field::Tokens(at) => carry(*at, from, to),
            Field::Rules(at) => carry(*at, from, to),
            Field::Networks(at) => carry(*at, from, to),
        }
    }

    /// Whether what a configuration has is allowed: it need not come from a file.
    pub fn fits(&self, config: &Config) -> bool {
        match self {
            // A word that stands for "none" is none that could be written; a secret is not shown,
            // and what it may be is the type's to say, as it is of rates and rules.
            Field::Choice(_)
            | Field::Rate(_)
            | Field::Secret(_)
            | Field::Tokens(_)
            | Field::Rules(_) => true,
            Field::Networks(at) => {
                let networks = at(&mut config.clone()).clone();
                let taken = |network: &String| Networks::default().allow(network).is_ok();
                networks.iter().all(taken)
            }
            _ => self
                .set_plain(&mut config.clone(), &self.get(config))
                .is_some(),
        }
    }
}

impl Rated {
    fn get(self, config: &mut Config) -> Rate {
        match self {
            Rated::Alone(at) => *at(config),
            Rated::WithBurst(at) => at(config).rate,
        }
    }

    fn set(self, config: &mut Config, rate: Rate) {
        match self {
            Rated::Alone(at) => *at(config) = rate,
            Rated::WithBurst(at) if rate.is_infinite() => *at(config) = Limit::INFINITE,
            Rated::WithBurst(at) => *at(config) = Limit::per_second(rate),
        }
    }
}

impl Whole {
    fn get(self, config: &mut Config) -> u64 {
        match self {
            Whole::U16(at) => (*at(config)).into(),
            Whole::U32(at) => (*at(config)).into(),
            Whole::U64(at) => *at(config),
            // No machine has more than 64 bits.
            Whole::Usize(at) => u64::try_from(*at(config)).unwrap_or(u64::MAX),
        }
    }

    fn set(self, config: &mut Config, number: u64) -> Option<()> {
        match self {
            Whole::U16(at) => *at(config) = number.try_into().ok()?,
            Whole::U32(at) => *at(config) = number.try_into().ok()?,
            Whole::U64(at) => *at(config) = number,
            Whole::Usize(at) => *at(config) = number.try_into().ok()?,
        }
        Some(())
    }
}

impl Spanned {
    fn get(self, config: &mut Config) -> Duration {
        match self {
            Spanned::Some(at) | Spanned::Seconds(at) => *at(config),
            Spanned::Maybe(at) => at(config).unwrap_or(Duration::ZERO),
        }
    }

    fn set(
        self,
        config: &mut Config,
        span: Duration,
        least: Duration,
        most: Duration,
    ) -> Option<()> {
        if let Spanned::Maybe(at) = self
            && span.is_zero()
        {
            *at(config) = None;
            return Some(());
        }
        within(span, least, most)?;
        match self {
            Spanned::Some(at) => *at(config) = span,
            Spanned::Seconds(_) if span.subsec_nanos() > 0 => return None,
            Spanned::Seconds(at) => *at(config) = span,
            Spanned::Maybe(at) => *at(config) = Some(span),
        }
        Some(())
    }
}

/// What stands for a secret that is there.
const HIDDEN: &str = "(hidden)";

/// A rate as files have it.
fn rate(rate: Rate) -> Value {
    if rate.is_infinite() {
        return Value::Whole(-1);
    }
    // Whole numbers as such: they read better, and go into any field of numbers.
    let text = rate.get().to_string();
    text.parse().map_or(Value::Number(rate.get()), Value::Whole)
}

fn counted(count: usize, what: &str) -> Value {
    Value::Text(match count {
        0 => String::new(),
        1 => format!("1 {what}"),
        count => format!("{count} {what}s"),
    })
}

fn carry<T: Clone>(at: Lens<T>, from: &mut Config, to: &mut Config) {
    at(to).clone_from(at(from));
}

fn within<T: PartialOrd>(value: T, least: T, most: T) -> Option<()> {
    (value >= least && value <= most).then_some(())
}

fn text(value: &Value) -> Option<&str> {
    match value {
        Value::Text(text) => Some(text),
        _ => None,
    }
}

fn name(text: &str) -> Option<&str> {
    let lettered = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    let fits = (1..=LONGEST_NAME).contains(&text.len()) && text.bytes().all(lettered);
    fits.then_some(text)
}

/// The mode of a file that somebody may open.
pub(crate) fn mode(text: &str) -> Option<u32> {
    let octal = text.bytes().all(|digit| (b'0'..=b'7').contains(&digit));
    let mode = u32::from_str_radix(text, 8).ok().filter(|_| octal)?;
    within(mode, 0o001, 0o777)?;
    Some(mode)
}

/// Nothing is nothing; everything else has to be understood.
fn parsed<T: std::str::FromStr>(text: &str) -> Option<Option<T>> {
    if text.is_empty() {
        return Some(None);
    }
    text.parse().ok().map(Some)
}

fn shown<T: ToString>(value: &Option<T>) -> String {
    value.as_ref().map(ToString::to_string).unwrap_or_default()
}
