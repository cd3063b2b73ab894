//! A static table of tokens.

use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

use arc_swap::ArcSwap;
use oneport_proto::{Class, Head, Identity, Method, Refusal, Token};

use super::{
    authorize::{Authorize, Decision, Never, Verdict},
    rules::{Level, Rules},
};

/// The accessor id of callers without a token: Consul's.
pub const ANONYMOUS_ACCESSOR: &str = "00000000-0000-0000-0000-000000000002";
/// The name of callers without a token, and a secret that stands for none: Consul's.
const ANONYMOUS: &str = "anonymous";
/// The most tokens that a table takes: enough for every service of a large cluster, at some
/// hundreds of bytes each.
pub const MAX_TOKENS: usize = 65_536;

/// A table of tokens, as plain data.
#[derive(Clone, Debug)]
pub struct TokenTable {
    /// The tokens.
    pub tokens: Vec<TokenEntry>,
    /// What callers without a token may do.
    pub anonymous: Rules,
    /// What holds for keys that no rule is about: Consul's `acl.default_policy`. The default is
    /// [`Level::Deny`].
    pub default: Level,
}

impl Default for TokenTable {
    fn default() -> Self {
        TokenTable {
            tokens: Vec::new(),
            anonymous: Rules::default(),
            default: Level::Deny,
        }
    }
}

/// One token.
#[derive(Clone, Debug)]
pub struct TokenEntry {
    /// What its holder presents.
    pub secret: Token,
    /// Its public id, which refusals and logs show.
    pub accessor: String,
    /// Who holds it, for logs and per-identity limits. Several tokens may have one name.
    pub name: String,
    /// What its holder may do.
    pub rules: Rules,
}

/// A table of tokens that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TokenTableError {
    /// Too many tokens.
    #[error("{tokens} tokens are too many: a table takes {MAX_TOKENS}")]
    TooMany {
        /// How many there are.
        tokens: usize,
    },
    /// Two tokens have the same accessor id.
    #[error("two tokens have the accessor id {accessor:?}")]
    Accessor {
        /// The id.
        accessor: String,
    },
    /// Two tokens have the same secret, or one has that of callers without a token.
    #[error("the token with the accessor id {accessor:?} has a secret that is taken")]
    Secret {
        /// The accessor id of the later one.
        accessor: String,
    },
}

/// Decides by the token of a call: a token of the table is its holder's identity, no token the
/// anonymous one, and any other token is refused as Consul refuses it.
///
/// A token is found by a keyed hash and then compared in constant time ([`Token`] says how), so
/// neither the search nor its end tells how near a guess was. Exempt methods, for which Consul
/// resolves no token, are let through whatever the token.
#[derive(Debug)]
pub struct Tokens {
    known: ArcSwap<Known>,
}

#[derive(Debug)]
struct Known {
    holders: HashMap<Token, Identity>,
    anonymous: Identity,
}

impl Tokens {
    /// Decides by this table.
    ///
    /// # Errors
    /// [`TokenTableError`].
    pub fn new(table: TokenTable) -> Result<Tokens, TokenTableError> {
        Ok(Tokens {
            known: ArcSwap::from_pointee(Known::new(table)?),
        })
    }

    /// Decides by another table from now on; calls that were let in stay so.
    ///
    /// # Errors
    /// [`TokenTableError`]: then the old table holds.
    pub fn set(&self, table: TokenTable) -> Result<(), TokenTableError> {
        self.known.store(Arc::new(Known::new(table)?));
        Ok(())
    }

    fn verdict(&self, head: &Head) -> Verdict {
        let known = self.known.load();
        let holder = match &head.token {
            None => Some(&known.anonymous),
            Some(token) => known.holders.get(token),
        };
        match holder {
            Some(identity) => Ok(Some(identity.clone())),
            None if is_exempt(&head.method) => Ok(None),
            None => Err(Refusal::UnknownToken),
        }
    }
}

impl Authorize for Tokens {
    type Future = Never;

    fn authorize(&self, head: &Head) -> Decision<Never> {
        Decision::Now(self.verdict(head))
    }
}

impl Known {
    fn new(table: TokenTable) -> Result<Known, TokenTableError> {
        let tokens = table.tokens.len();
        if tokens > MAX_TOKENS {
            return Err(TokenTableError::TooMany { tokens });
        }
        let rules = table.anonymous.grants(table.default);
        let anonymous = Identity::with_token(ANONYMOUS, ANONYMOUS_ACCESSOR, rules);
        let mut accessors = HashSet::from([ANONYMOUS_ACCESSOR.to_owned()]);
        let mut holders = HashMap::with_capacity(tokens + 1);
        holders.extend(Token::new(ANONYMOUS.as_bytes()).zip(Some(anonymous.clone())));
        for entry in table.tokens {
            let accessor = entry.accessor;
            if !accessors.insert(accessor.clone()) {
                return Err(TokenTableError::Accessor { accessor });
            }
            let grants = entry.rules.grants(table.default);
            let holder = Identity::with_token(entry.name, accessor.as_str(), grants);
            if holders.insert(entry.secret, holder).is_some() {
                return Err(TokenTableError::Secret { accessor });
            }
        }
        Ok(Known { holders, anonymous })
    }
}

fn is_exempt(method: &Method) -> bool {
    matches!(method, Method::Known(info) if info.class == Class::Exempt)
}

#[cfg(test)]
mod tests {
    use oneport_proto::{Access, Family, MethodInfo, Resource, Session};
    use tokio::time::Instant;

    use super::*;

    fn entry(secret: &str, accessor: &str) -> TokenEntry {
        TokenEntry {
            secret: Token::new(secret.as_bytes()).unwrap(),
            accessor: accessor.into(),
            name: format!("holder of {secret}"),
            rules: Rules::default().key_prefix(secret, Level::Write),
        }
    }

    fn table(tokens: &[(&str, &str)]) -> TokenTable {
        TokenTable {
            tokens: tokens.iter().map(|(s, a)| entry(s, a)).collect(),
            anonymous: Rules::default().key_prefix("public/", Level::Read),
            ..TokenTable::default()
        }
    }

    fn head(token: &str, class: Class) -> Head {
        let name = if class == Class::Exempt {
            "Tokens.E"
        } else {
            "Tokens.R"
        };
        let method = MethodInfo::intern(Family::NetRpc, name, class).unwrap();
        let mut head = Head::new(Method::Known(method), Session::in_process(), Instant::now());
        head.token = Token::new(token.as_bytes());
        head
    }

    fn who(tokens: &Tokens, token: &str) -> Result<Identity, Refusal> {
        tokens
            .verdict(&head(token, Class::Read))
            .map(Option::unwrap)
    }

    #[test]
    fn a_token_is_its_holder_and_none_is_anonymous() {
        let tokens = Tokens::new(table(&[("s1", "a1"), ("s2", "a2")])).unwrap();
        let ann = who(&tokens, "s1").unwrap();
        assert_eq!((ann.name(), ann.accessor()), ("holder of s1", Some("a1")));
        assert_eq!(ann.may(Access::Write, Resource::Key, b"s1/x"), Ok(()));
        for none in ["", "anonymous"] {
            let anonymous = who(&tokens, none).unwrap();
            assert_eq!(anonymous.accessor(), Some(ANONYMOUS_ACCESSOR));
            assert_eq!(
                anonymous.may(Access::Read, Resource::Key, b"public/x"),
                Ok(())
            );
            let denied = anonymous
                .may(Access::Read, Resource::Key, b"x")
                .unwrap_err();
            assert_eq!(
                denied.to_string(),
                "Permission denied: token with AccessorID '00000000-0000-0000-0000-000000000002' \
                 lacks permission 'key:read' on \"x\""
            );
        }
    }

    #[test]
    fn an_unknown_token_is_refused_unless_the_method_is_for_all() {
        let tokens = Tokens::new(table(&[("s1", "a1")])).unwrap();
        assert_eq!(who(&tokens, "s"), Err(Refusal::UnknownToken));
        assert_eq!(tokens.verdict(&head("s", Class::Exempt)), Ok(None));
    }

    #[test]
    fn a_new_table_holds_at_once_and_a_bad_one_not_at_all() {
        let tokens = Tokens::new(table(&[("s1", "a1")])).unwrap();
        tokens.set(table(&[("s2", "a1")])).unwrap();
        assert_eq!(who(&tokens, "s1"), Err(Refusal::UnknownToken));
        assert!(tokens.set(table(&[("s3", "a"), ("s4", "a")])).is_err());
        assert!(who(&tokens, "s2").is_ok());
    }

    #[test]
    fn tables_that_cannot_be_are_named() {
        let error = |tokens: &[_]| Tokens::new(table(tokens)).unwrap_err().to_string();
        assert_eq!(
            error(&[("s", "a1"), ("t", "a1")]),
            "two tokens have the accessor id \"a1\""
        );
        let taken = "the token with the accessor id \"a2\" has a secret that is taken";
        assert_eq!(error(&[("s", "a1"), ("s", "a2")]), taken);
        assert_eq!(error(&[("anonymous", "a2")]), taken);
        let many = |n: usize| {
            let tokens = (0..n).map(|n| entry(&format!("s{n}"), &format!("a{n}")));
            Tokens::new(TokenTable {
                tokens: tokens.collect(),
                ..TokenTable::default()
            })
        };
        assert!(many(MAX_TOKENS).is_ok());
        assert_eq!(
            many(MAX_TOKENS + 1).unwrap_err().to_string(),
            "65537 tokens are too many: a table takes 65536"
        );
    }
}
