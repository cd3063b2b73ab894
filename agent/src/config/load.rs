//! From settings files to a [`Config`], or to everything that is wrong with them.

use std::{
    collections::HashMap,
    fmt, fs,
    io::{self, Read},
    path::{Path, PathBuf},
};

use oneport::ConfigError;

use super::{
    Config, Setting,
    consul::{self, Known},
    document::{self, Form, Malformed, Node, Place, Value},
    settings::SETTINGS,
};

/// The largest settings file, in bytes.
pub const LARGEST_FILE: u64 = 4 * 1024 * 1024;
/// How many edits a key may be away from one that we know to be taken for it.
const NEAR: usize = 12;

/// What files said.
#[derive(Debug, Default)]
pub struct Loaded {
    /// The settings: the files', in their order, over the defaults.
    pub config: Config,
    /// Keys that Consul knows and that have no use here.
    pub unused: Vec<Unused>,
    /// Where each setting was set last.
    places: HashMap<&'static str, Spot>,
}

impl Loaded {
    /// Whether a file says something about this setting.
    pub fn sets(&self, key: &str) -> bool {
        self.places.contains_key(key)
    }
}

/// A key that Consul knows and that has no use here.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unused {
    /// Where it is.
    pub spot: Spot,
    /// The key.
    pub key: String,
}

/// A file, and a place in it if that is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spot {
    /// The file.
    pub file: PathBuf,
    /// The place in it.
    pub place: Option<Place>,
}

impl fmt::Display for Spot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.file.display())?;
        match self.place {
            Some(Place { line, column }) => write!(f, ":{line}:{column}"),
            None => Ok(()),
        }
    }
}

/// Something wrong in a file, and where.
#[derive(Debug, thiserror::Error)]
#[error("{spot}: {fault}")]
pub struct Problem {
    /// Where.
    pub spot: Spot,
    /// What.
    pub fault: Fault,
}

/// Something wrong in a file.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// It cannot be read.
    #[error("cannot read it: {0}")]
    Read(io::Error),
    /// It has more than [`LARGEST_FILE`] bytes.
    #[error("it is larger than {LARGEST_FILE} bytes, which no settings file is")]
    TooLarge,
    /// It is of no form that is read.
    #[error("a settings file ends in .json or .toml; HCL is not read yet")]
    Form,
    /// A directory without a settings file.
    #[error("there is no settings file in this directory")]
    Empty,
    /// Its text is not of its form.
    #[error("{0}")]
    Malformed(String),
    /// No setting has this key.
    #[error("there is no setting {key}{}", hint(.nearest))]
    Unknown {
        /// The key.
        key: String,
        /// The known key that is most like it, if there is one.
        nearest: Option<&'static str>,
    },
    /// A key of Consul's that has no use here and cannot be passed over.
    #[error("{key} has no use here: {why}")]
    Refused {
        /// The key.
        key: String,
        /// Why it cannot be passed over, and what to do.
        why: &'static str,
    },
    /// A key that was there already, in the same table.
    #[error("{0} is there twice")]
    Twice(String),
    /// A key with further keys that holds no table.
    #[error("{key} is {value}, but it must be a table")]
    NotATable {
        /// The key.
        key: String,
        /// What it holds.
        value: String,
    },
    /// A setting that cannot hold.
    #[error(transparent)]
    Config(#[from] ConfigError),
}

fn hint(nearest: &Option<&'static str>) -> String {
    nearest.map_or_else(String::new, |key| format!("; did you mean {key}?"))
}

/// Reads files, and the settings files in directories in the order of their names. What comes later
/// counts, key by key.
///
/// # Errors
/// Everything that is wrong, in the order of the files.
pub fn load(paths: &[PathBuf]) -> Result<Loaded, Vec<Problem>> {
    let mut loading = Loading::default();
    for path in paths {
        loading.path(path);
    }
    loading.finish()
}

/// Files being read.
#[derive(Default)]
struct Loading {
    loaded: Loaded,
    problems: Vec<Problem>,
}

impl Loading {
    fn path(&mut self, path: &Path) {
        if !path.is_dir() {
            return self.file(path);
        }
        match settings_files(path) {
            Ok(files) if files.is_empty() => self.wrong(path, None, Fault::Empty),
            Ok(files) => files.iter().for_each(|file| self.file(file)),
            Err(error) => self.wrong(path, None, Fault::Read(error)),
        }
    }

    fn file(&mut self, file: &Path) {
        let Some(form) = Form::of(file) else {
            return self.wrong(file, None, Fault::Form);
        };
        let parsed = read(file).map(|text| document::parse(&text, form));
        match parsed {
            Err(fault) => self.wrong(file, None, fault),
            Ok(Err(Malformed { place, what })) => {
                self.wrong(file, place, Fault::Malformed(what));
            }
            Ok(Ok(root)) => self.table(file, "", &root),
        }
    }

    /// The keys of a table; `above` is empty or ends in a dot.
    fn table(&mut self, file: &Path, above: &str, node: &Node) {
        let Value::Table(entries) = &node.value else {
            let key = above.trim_end_matches('.').to_owned();
            let value = node.value.to_string();
            return self.wrong(file, Some(node.place), Fault::NotATable { key, value });
        };
        for (at, (name, place, node)) in entries.iter().enumerate() {
            let key = format!("{above}{name}");
            if entries[..at].iter().any(|(other, ..)| other == name) {
                self.wrong(file, Some(*place), Fault::Twice(key));
            } else if node.value != Value::Null {
                self.entry(file, *place, &key, node);
            }
        }
    }

    fn entry(&mut self, file: &Path, place: Place, key: &str, node: &Node) {
        if let Some(setting) = Setting::of(key) {
            return self.set(file, setting, node);
        }
        let inside = format!("{key}.");
        if SETTINGS
            .iter()
            .any(|setting| setting.key.starts_with(&inside))
        {
            return self.table(file, &inside, node);
        }
        if let Some(why) = consul::refused(key, &node.value) {
            let key = key.to_owned();
            return self.wrong(file, Some(place), Fault::Refused { key, why });
        }
        match consul::known(key) {
            Some(Known::Table) => self.table(file, &inside, node),
            Some(Known::Leaf) => self.loaded.unused.push(Unused {
                spot: spot(file, Some(place)),
                key: key.to_owned(),
            }),
            None => {
                let fault = Fault::Unknown {
                    key: key.to_owned(),
                    nearest: nearest(key),
                };
                self.wrong(file, Some(place), fault);
            }
        }
    }

    fn set(&mut self, file: &Path, setting: &'static Setting, node: &Node) {
        match setting.field.set(&mut self.loaded.config, node) {
            Ok(()) => {
                let spot = spot(file, Some(node.place));
                self.loaded.places.insert(setting.key, spot);
            }
            Err(misfit) => {
                let fault = ConfigError {
                    field: format!("{}{}", setting.key, misfit.part),
                    value: misfit.value,
                    limit: misfit.limit,
                };
                let place = misfit.place.unwrap_or(node.place);
                self.wrong(file, Some(place), fault.into());
            }
        }
    }

    fn wrong(&mut self, file: &Path, place: Option<Place>, fault: Fault) {
        let spot = spot(file, place);
        self.problems.push(Problem { spot, fault });
    }

    /// What holds alone has to fit together as well.
    fn finish(mut self) -> Result<Loaded, Vec<Problem>> {
        let config = &self.loaded.config;
        for error in config.mismatches().into_iter().chain(config.acl.problem()) {
            // What no file set is right, and does not fit only to what a file set.
            let places = &self.loaded.places;
            let set = places.get(error.field.as_str());
            let other = || places.values().next();
            if let Some(spot) = set.or_else(other).cloned() {
                let fault = error.into();
                self.problems.push(Problem { spot, fault });
            }
        }
        if self.problems.is_empty() {
            Ok(self.loaded)
        } else {
            Err(self.problems)
        }
    }
}

fn spot(file: &Path, place: Option<Place>) -> Spot {
    Spot {
        file: file.to_owned(),
        place,
    }
}

/// The settings files of a directory by name; also those whose form is not read, to be refused.
fn settings_files(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let hcl = path.extension().is_some_and(|end| end == "hcl");
        if path.is_file() && (hcl || Form::of(&path).is_some()) {
            files.push(path);
        }
    }
    files.sort();
    Ok(files)
}

fn read(file: &Path) -> Result<String, Fault> {
    let mut text = String::new();
    let opened = fs::File::open(file).map_err(Fault::Read)?;
    let read = opened.take(LARGEST_FILE + 1).read_to_string(&mut text);
    let bytes = read.map_err(Fault::Read)?;
    // More bits than a u64 has no machine.
    if u64::try_from(bytes).unwrap_or(u64::MAX) > LARGEST_FILE {
        return Err(Fault::TooLarge);
    }
    Ok(text)
}

/// The known key that is most like `key`; a key that was put into the wrong table counts as near.
fn nearest(key: &str) -> Option<&'static str> {
    let last = |key: &'_ str| key.rsplit('.').next().map(str::to_owned);
    let settings = SETTINGS.iter().map(|setting| setting.key);
    let distance = |known: &str| {
        let moved = last(known) == last(key);
        let edits = strsim::damerau_levenshtein(known, key);
        if moved { edits.min(1) } else { edits }
    };
    let near = |known: &&'static str| distance(known) <= NEAR.min(key.len() / 3).max(1);
    settings
        .chain(consul::keys())
        .filter(near)
        .min_by_key(|known| distance(known))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_key_is_found() {
        assert_eq!(nearest("datacentre"), Some("datacenter"));
        assert_eq!(
            nearest("limits.rpc_max_conn_per_client"),
            Some("limits.rpc_max_conns_per_client")
        );
        assert_eq!(
            nearest("leave_drain_time"),
            Some("performance.leave_drain_time")
        );
        assert_eq!(
            nearest("dns_config.allow_stael"),
            Some("dns_config.allow_stale")
        );
        assert_eq!(nearest("quite_another_thing"), None);
    }
}
