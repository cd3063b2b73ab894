//! Who may do what.

use oneport::{
    ConfigError,
    layers::auth::{
        Level, NetworkError, Networks, Rules, TokenEntry, TokenTable, TokenTableError, Tokens,
    },
    proto::Token,
};

use super::{
    document::{Node, Value},
    field::Misfit,
};

/// The longest secret, accessor id or name of a token, and the longest key of a rule, in bytes.
pub const LONGEST_TEXT: usize = 1024;
/// The most rules of one kind that a token may have.
pub const MOST_RULES: usize = 4096;
/// The accessor id and the name of the token that may do everything.
const MANAGEMENT: &str = "initial-management";

pub(super) const SECRET: &str = "a secret of 8 to 1024 bytes, or \"\" for none";
pub(super) const TOKENS: &str = "a list of tables with accessor, secret, name and rules";
pub(super) const RULES: &str = "a table of key, key_prefix and method_prefix, each a table from \
                                a name to \"deny\", \"read\" or \"write\"";
pub(super) const NETWORKS: &str =
    "a list of networks like \"10.0.0.0/8\", \"10.1.2.3\" or \"fd00::/8\"";
const TEXT: &str = "text of 1 to 1024 bytes";
const LEVEL: &str = "one of deny, read, write";

/// Who may do what, where that matters at all.
#[derive(Clone, Debug, PartialEq)]
pub struct AclConfig {
    /// Whether tokens are asked for. Default no: everybody may do everything.
    pub enabled: bool,
    /// What holds for keys that no rule is about: Consul's `acl.default_policy`, with
    /// [`Level::Write`] for its `allow`, which is the default.
    pub default: Level,
    /// The secret of a token that may do everything.
    pub management: Option<Token>,
    /// The other tokens.
    pub tokens: Vec<TokenConfig>,
    /// What callers without a token may do.
    pub anonymous: Rules,
}

impl Default for AclConfig {
    fn default() -> Self {
        AclConfig {
            enabled: false,
            default: Level::Write,
            management: None,
            tokens: Vec::new(),
            anonymous: Rules::default(),
        }
    }
}

/// A token and what its holder may do.
#[derive(Clone, Debug, PartialEq)]
pub struct TokenConfig {
    /// Its public id.
    pub accessor: String,
    /// What its holder presents.
    pub secret: Token,
    /// Who holds it, for logs and limits by identity. Default its accessor id.
    pub name: String,
    /// What its holder may do.
    pub rules: Rules,
}

/// Networks that calls may, or may not, come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NetworkConfig {
    /// If there are any, calls come from these only.
    pub allow: Vec<String>,
    /// No call comes from these.
    pub deny: Vec<String>,
}

impl AclConfig {
    /// The table that decides.
    pub fn table(&self) -> TokenTable {
        let management = self.management.clone().map(|secret| TokenEntry {
            secret,
            accessor: MANAGEMENT.to_owned(),
            name: MANAGEMENT.to_owned(),
            rules: Rules::management(),
        });
        let others = self.tokens.iter().map(|token| TokenEntry {
            secret: token.secret.clone(),
            accessor: token.accessor.clone(),
            name: token.name.clone(),
            rules: token.rules.clone(),
        });
        TokenTable {
            tokens: management.into_iter().chain(others).collect(),
            anonymous: self.anonymous.clone(),
            default: self.default,
        }
    }

    /// What is wrong with the tokens taken together.
    pub fn problem(&self) -> Option<ConfigError> {
        let error: TokenTableError = Tokens::new(self.table()).err()?;
        Some(ConfigError {
            field: "oneport.acl.tokens".to_owned(),
            value: format!("a list of which is true: {error}"),
            limit: "a list in which each token has an accessor and a secret of its own".to_owned(),
        })
    }
}

impl NetworkConfig {
    /// What decides by address. Callers inside the process and on this host's sockets are let in.
    ///
    /// # Errors
    /// A text that is no network.
    pub fn networks(&self) -> Result<Networks, NetworkError> {
        let mut networks = Networks::default().local();
        for network in &self.allow {
            networks = networks.allow(network)?;
        }
        for network in &self.deny {
            networks = networks.deny(network)?;
        }
        Ok(networks)
    }
}

/// A secret; `Some(None)` for an empty text.
pub(super) fn secret(text: &str) -> Option<Option<Token>> {
    let fits = text.is_empty() || (8..=LONGEST_TEXT).contains(&text.len());
    fits.then(|| Token::new(text.as_bytes()))
}

pub(super) fn tokens(node: &Node) -> Result<Vec<TokenConfig>, Misfit> {
    let nodes = list(node, TOKENS)?;
    let one = |(at, node): (usize, &Node)| {
        token(node).map_err(|misfit| misfit.inside(&format!("[{at}]")))
    };
    nodes.iter().enumerate().map(one).collect()
}

pub(super) fn networks(node: &Node) -> Result<Vec<String>, Misfit> {
    let one = |(at, node): (usize, &Node)| match &node.value {
        Value::Text(text) if Networks::default().allow(text).is_ok() => Ok(text.clone()),
        _ => Err(Misfit::of(node, "a network like \"10.0.0.0/8\"").inside(&format!("[{at}]"))),
    };
    list(node, NETWORKS)?.iter().enumerate().map(one).collect()
}

fn list<'a>(node: &'a Node, limit: &str) -> Result<&'a [Node], Misfit> {
    match &node.value {
        Value::List(nodes) => Ok(nodes),
        _ => Err(Misfit::of(node, limit)),
    }
}

/// The entries of a table that has no others than `known`.
fn entries<'a>(
    node: &'a Node,
    known: &[&str],
    limit: &str,
) -> Result<Vec<(&'a str, &'a Node)>, Misfit> {
    let Value::Table(entries) = &node.value else {
        return Err(Misfit::of(node, limit));
    };
    for (name, place, _) in entries {
        if !known.contains(&name.as_str()) {
            return Err(Misfit {
                place: Some(*place),
                part: format!(".{name}"),
                value: "no key of this table".to_owned(),
                limit: format!("one of {}", known.join(", ")),
            });
        }
    }
    Ok(entries
        .iter()
        .map(|(name, _, node)| (name.as_str(), node))
        .collect())
}

fn token(node: &Node) -> Result<TokenConfig, Misfit> {
    let entries = entries(node, &["accessor", "secret", "name", "rules"], TOKENS)?;
    let of = |name: &str| {
        entries
            .iter()
            .find(|(known, _)| *known == name)
            .map(|(_, node)| *node)
    };
    let missing = |name: &str| Misfit {
        part: format!(".{name}"),
        value: "missing".to_owned(),
        ..Misfit::of(node, "there")
    };
    let accessor = of("accessor").ok_or_else(|| missing("accessor"))?;
    let accessor = text(accessor).map_err(|misfit| misfit.inside(".accessor"))?;
    let name = match of("name") {
        Some(name) => text(name).map_err(|misfit| misfit.inside(".name"))?,
        None => accessor.clone(),
    };
    let of_rules = of("rules").map(|node| rules(node).map_err(|misfit| misfit.inside(".rules")));
    let secret = of("secret").ok_or_else(|| missing("secret"))?;
    Ok(TokenConfig {
        accessor,
        secret: token_secret(secret).map_err(|misfit| misfit.inside(".secret"))?,
        name,
        rules: of_rules.transpose()?.unwrap_or_default(),
    })
}

fn token_secret(node: &Node) -> Result<Token, Misfit> {
    let known = match &node.value {
        Value::Text(text) => secret(text).flatten(),
        _ => None,
    };
    known.ok_or_else(|| Misfit {
        value: "not shown".to_owned(),
        ..Misfit::of(node, "a secret of 8 to 1024 bytes")
    })
}

pub(super) fn rules(node: &Node) -> Result<Rules, Misfit> {
    let mut rules = Rules::default();
    for (name, node) in entries(node, &["key", "key_prefix", "method_prefix"], RULES)? {
        let levels = levels(node).map_err(|misfit| misfit.inside(&format!(".{name}")))?;
        match name {
            "key" => rules.key = levels,
            "key_prefix" => rules.key_prefix = levels,
            _ => rules.method_prefix = levels,
        }
    }
    Ok(rules)
}

fn levels(node: &Node) -> Result<Vec<(String, Level)>, Misfit> {
    let Value::Table(entries) = &node.value else {
        return Err(Misfit::of(
            node,
            "a table from a name to \"deny\", \"read\" or \"write\"",
        ));
    };
    if entries.len() > MOST_RULES {
        return Err(Misfit::of(
            node,
            &format!("a table of at most {MOST_RULES} rules"),
        ));
    }
    let one = |(name, _, node): &(String, _, Node)| {
        let inside = |misfit: Misfit| misfit.inside(&format!(".{name:?}"));
        if name.len() > LONGEST_TEXT {
            return Err(Misfit::of(node, "about a name of at most 1024 bytes"));
        }
        Ok((name.clone(), level(node).map_err(inside)?))
    };
    entries.iter().map(one).collect()
}

fn level(node: &Node) -> Result<Level, Misfit> {
    match &node.value {
        Value::Text(word) if word == "deny" => Ok(Level::Deny),
        Value::Text(word) if word == "read" => Ok(Level::Read),
        Value::Text(word) if word == "write" => Ok(Level::Write),
        _ => Err(Misfit::of(node, LEVEL)),
    }
}

fn text(node: &Node) -> Result<String, Misfit> {
    match &node.value {
        Value::Text(text) if (1..=LONGEST_TEXT).contains(&text.len()) => Ok(text.clone()),
        _ => Err(Misfit::of(node, TEXT)),
    }
}

impl Misfit {
    /// A part that is none of what it must be.
    fn of(node: &Node, limit: &str) -> Misfit {
        Misfit {
            place: Some(node.place),
            part: String::new(),
            value: node.value.to_string(),
            limit: limit.to_owned(),
        }
    }

    fn inside(self, outer: &str) -> Misfit {
        Misfit {
            part: format!("{outer}{}", self.part),
            ..self
        }
    }
}
