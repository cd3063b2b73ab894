//! Where the settings of a server come from: files, and flags over them.

use std::{
    net::{IpAddr, SocketAddr},
    path::PathBuf,
};

use oneport::ConfigError;

use super::{
    exit::{Exit, Failure},
    validate,
};
use crate::config::{
    Config, Level, Setting,
    load::{Unused, load},
};

/// The settings that have a flag, and the files for all of them.
#[derive(Clone, Debug, Default, clap::Args)]
pub(super) struct Sources {
    /// A settings file (.json or .toml), or a directory of such files; may be given more than once,
    /// and the later one counts, key by key. Flags count over files.
    #[arg(long = "config-file", value_name = "PATH")]
    files: Vec<PathBuf>,
    /// The address to listen at [default: 127.0.0.1].
    #[arg(long, value_name = "ADDR")]
    bind: Option<IpAddr>,
    /// The port to listen at; 0 is any that is free [default: 8300].
    #[arg(long, value_name = "PORT")]
    server_port: Option<u16>,
    /// The address that others are told [default: the one that is bound].
    #[arg(long, value_name = "ADDR")]
    advertise: Option<IpAddr>,
    /// The node's name [default: oneport].
    #[arg(long, value_name = "NAME")]
    node: Option<String>,
    /// The datacenter's name [default: dc1].
    #[arg(long, value_name = "NAME")]
    datacenter: Option<String>,
    /// How much to log [default: what RUST_LOG says, else info].
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<Level>,
    /// Log JSON, an object a line.
    #[arg(long)]
    log_json: bool,
    /// Write the process id to this file once everything is bound, and remove it at the end.
    #[arg(long, value_name = "PATH")]
    pid_file: Option<PathBuf>,
    /// Where to open the admin socket; '' for none [default: oneport-PORT.sock in XDG_RUNTIME_DIR,
    /// none where that is not set].
    #[arg(long, value_name = "PATH")]
    admin_socket: Option<PathBuf>,
    /// Serve metrics and readiness by HTTP at this address too.
    #[arg(long, value_name = "ADDR:PORT")]
    metrics_addr: Option<SocketAddr>,
    /// Serve dRPC on a unix socket at this path: status, keys and values, reloads [default: none].
    #[arg(long, value_name = "PATH")]
    drpc_socket: Option<PathBuf>,
    /// The mode of the dRPC socket, in octal [default: 0660].
    #[arg(long, value_name = "MODE", value_parser = super::mode::parse)]
    drpc_mode: Option<u32>,
}

/// Settings that hold, and what was said beside them.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) config: Config,
    pub(super) unused: Vec<Unused>,
    /// Whether anybody said where the admin socket is, or that there is none.
    pub(super) socket_named: bool,
}

impl Sources {
    /// Reads the files and lays the flags over them.
    ///
    /// # Errors
    /// Everything that is wrong.
    pub(super) fn gather(&self) -> Result<Gathered, Failure> {
        let loaded = load(&self.files).map_err(|problems| validate::refuse(&problems))?;
        let socket_named = self.admin_socket.is_some() || loaded.sets("oneport.admin_socket");
        let mut config = loaded.config;
        self.overlay(&mut config);
        let problems = config.problems();
        if problems.is_empty() {
            return Ok(Gathered {
                config,
                unused: loaded.unused,
                socket_named,
            });
        }
        let problems: Vec<_> = problems.iter().map(by_flag).collect();
        Err(Failure::all(Exit::Usage, &problems))
    }

    fn overlay(&self, config: &mut Config) {
        let flags = self.clone();
        over(&mut config.bind, flags.bind);
        over(&mut config.server_port, flags.server_port);
        over(&mut config.node, flags.node);
        over(&mut config.datacenter, flags.datacenter);
        over(&mut config.advertise, flags.advertise.map(Some));
        over(&mut config.log_level, flags.log_level.map(Some));
        over(&mut config.log_json, flags.log_json.then_some(true));
        over(&mut config.metrics_addr, flags.metrics_addr.map(Some));
        over(&mut config.pid_file, flags.pid_file.map(some_path));
        over(&mut config.admin_socket, flags.admin_socket.map(some_path));
        over(&mut config.drpc.socket, flags.drpc_socket.map(some_path));
        over(&mut config.drpc.mode, flags.drpc_mode);
    }
}

fn over<T>(setting: &mut T, flag: Option<T>) {
    if let Some(value) = flag {
        *setting = value;
    }
}

/// An empty path is none.
fn some_path(path: PathBuf) -> Option<PathBuf> {
    (!path.as_os_str().is_empty()).then_some(path)
}

/// What no file says comes from a flag, and is called by its name.
pub(super) fn by_flag(error: &ConfigError) -> String {
    let flag = Setting::of(&error.field).and_then(|setting| setting.flag);
    let ConfigError {
        field,
        value,
        limit,
    } = error;
    let name = flag.unwrap_or(field);
    format!("{name} is {value}, but it must be {limit}")
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Alone {
        #[command(flatten)]
        sources: Sources,
    }

    fn gather(line: &str) -> Result<Gathered, Failure> {
        let words = std::iter::once("agent").chain(line.split_whitespace());
        Alone::try_parse_from(words).unwrap().sources.gather()
    }

    #[test]
    fn flags_become_settings() {
        let line = "--bind ::1 --server-port 0 --node n1 --datacenter dc2 --log-level debug";
        let config = gather(line).unwrap().config;
        assert_eq!(config.listen_addr().to_string(), "[::1]:0");
        assert_eq!(
            (config.node.as_str(), config.datacenter.as_str()),
            ("n1", "dc2")
        );
        assert_eq!(config.log_level, Some(Level::Debug));
        assert_eq!(gather("").unwrap().config, Config::default());
    }

    #[test]
    fn every_flag_of_a_setting_is_a_flag() {
        let command = <Alone as clap::CommandFactory>::command();
        let longs: Vec<_> = command
            .get_arguments()
            .filter_map(|arg| arg.get_long())
            .collect();
        for setting in crate::config::settings::SETTINGS {
            if let Some(flag) = setting.flag {
                assert!(longs.contains(&flag.trim_start_matches("--")), "{flag}");
            }
        }
    }

    #[test]
    fn a_bad_flag_is_refused_by_its_name() {
        let failure = gather("--node a/b").unwrap_err();
        assert_eq!(failure.exit(), Exit::Usage);
        let text = r#"--node is "a/b", but it must be 1 to 128 of a-z, A-Z, 0-9, - and _"#;
        assert_eq!(failure.message(), text);
    }
}
