//! Who may call: by address, then by token.

use arc_swap::ArcSwap;
use oneport::{
    ConfigError, Everybody,
    layers::auth::{Authorize, Decision, Networks, Never, Tokens},
    proto::Head,
};

use crate::config::Config;

/// Decides about every call by the settings in force.
#[derive(Debug)]
pub(crate) struct Gate {
    rules: ArcSwap<Rules>,
}

#[derive(Debug)]
struct Rules {
    networks: Networks,
    access: Access,
}

#[derive(Debug)]
enum Access {
    /// Tokens are not asked for.
    Open(Everybody),
    Tokens(Tokens),
}

impl Gate {
    pub(crate) fn new(config: &Config) -> Result<Gate, ConfigError> {
        Ok(Gate {
            rules: ArcSwap::from_pointee(Rules::new(config)?),
        })
    }

    /// Decides by other settings from now on; what was let in stays so.
    pub(crate) fn set(&self, config: &Config) -> Result<(), ConfigError> {
        self.rules.store(Rules::new(config)?.into());
        Ok(())
    }
}

impl Rules {
    fn new(config: &Config) -> Result<Rules, ConfigError> {
        let networks = config.networks.networks().map_err(|error| ConfigError {
            field: "oneport.networks".to_owned(),
            value: format!("{:?}", error.0),
            limit: "networks".to_owned(),
        })?;
        let access = if config.acl.enabled {
            let table = config.acl.table();
            Access::Tokens(Tokens::new(table).map_err(|error| ConfigError {
                field: "oneport.acl.tokens".to_owned(),
                value: error.to_string(),
                limit: "a table of tokens".to_owned(),
            })?)
        } else {
            Access::Open(Everybody::new())
        };
        Ok(Rules { networks, access })
    }
}

impl Authorize for Gate {
    type Future = Never;

    fn authorize(&self, head: &Head) -> Decision<Never> {
        let rules = self.rules.load();
        if let Decision::Now(Err(refusal)) = rules.networks.authorize(head) {
            return Decision::Now(Err(refusal));
        }
        match &rules.access {
            Access::Open(everybody) => everybody.authorize(head),
            Access::Tokens(tokens) => tokens.authorize(head),
        }
    }
}
