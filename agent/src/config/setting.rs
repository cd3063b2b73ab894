//! One setting, and how all of them are found.

use super::{Config, document::Value, field::Field, settings::SETTINGS};

/// The namespace of settings that Consul has none for.
pub const OURS: &str = "oneport.";

/// A setting of the agent.
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// Its key in a settings file, with dots where tables nest. Consul's own wherever Consul has
    /// the setting; all others begin with [`OURS`].
    pub key: &'static str,
    /// The flag of `oneport agent` that overrides files, if there is one.
    pub flag: Option<&'static str>,
    /// Its type and limits.
    pub field: Field,
    /// When a change counts.
    pub change: Change,
    /// What it is, for operators.
    pub meaning: &'static str,
}

/// When a changed setting counts after a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Change {
    /// At once, for everything that runs.
    AtOnce,
    /// For connections that come in from then on.
    NewConnections,
    /// When the agent starts again.
    Restart,
}

impl Change {
    /// For tables.
    pub fn label(self) -> &'static str {
        match self {
            Change::AtOnce => "at once",
            Change::NewConnections => "new connections",
            Change::Restart => "restart",
        }
    }
}

impl Setting {
    pub(super) const fn new(
        key: &'static str,
        field: Field,
        change: Change,
        meaning: &'static str,
    ) -> Setting {
        Setting {
            key,
            flag: None,
            field,
            change,
            meaning,
        }
    }

    pub(super) const fn flag(mut self, flag: &'static str) -> Setting {
        self.flag = Some(flag);
        self
    }

    /// The setting with this key.
    pub fn of(key: &str) -> Option<&'static Setting> {
        SETTINGS.iter().find(|setting| setting.key == key)
    }

    /// Whether Consul has it too.
    pub fn is_consuls(&self) -> bool {
        !self.key.starts_with(OURS)
    }

    /// Its value where nothing else is said.
    pub fn default_value(&self) -> Value {
        self.field.get(&Config::default())
    }
}
