//! `oneport agent`.

use std::{fmt::Write, net::IpAddr, path::PathBuf};

use oneport::Served;
use tokio::sync::oneshot;

use super::{
    exit::{Exit, Failure},
    logs::{self, Level},
    output,
    signals::Signals,
};
use crate::{
    agent::{Agent, StartError},
    config::Config,
};

/// Run a server.
///
/// It speaks Consul's RPC on one port, and says on stdout where that is and what it serves there.
/// Logs go to stderr. The first SIGINT or SIGTERM drains it: queries that wait are answered,
/// connections have five seconds to finish, and the exit code is 0. A second one ends it at once.
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Examples:
  oneport agent --dev                               at 127.0.0.1:8300
  oneport agent --dev --server-port 0               at any free port, which is printed
  oneport agent --dev --bind 0.0.0.0 --advertise 10.0.0.7 --datacenter dc2 --log-json")]
pub(super) struct Args {
    /// Keep everything in memory, as a cluster of one. There is no other mode yet.
    #[arg(long)]
    dev: bool,
    /// The address to listen at.
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1")]
    bind: IpAddr,
    /// The port to listen at; 0 is any that is free.
    #[arg(long, value_name = "PORT", default_value_t = 8300)]
    server_port: u16,
    /// The address that others are told [default: the one that is bound].
    #[arg(long, value_name = "ADDR")]
    advertise: Option<IpAddr>,
    /// The node's name.
    #[arg(long, value_name = "NAME", default_value = "oneport")]
    node: String,
    /// The datacenter's name.
    #[arg(long, value_name = "NAME", default_value = "dc1")]
    datacenter: String,
    /// Where to keep data. Not possible yet: --dev keeps it in memory.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    /// How much to log [default: what RUST_LOG says, else info].
    #[arg(long, value_name = "LEVEL")]
    log_level: Option<Level>,
    /// Log JSON, an object a line.
    #[arg(long)]
    log_json: bool,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        self.check()?;
        logs::start(self.log_level, self.log_json);
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|error| super::runtime(&error))?
            .block_on(serve(self.config()))
    }

    /// What cannot be done yet is refused, not ignored.
    fn check(&self) -> Result<(), Failure> {
        if let Some(dir) = &self.data_dir {
            let message = format!(
                "--data-dir is {}, but nothing can be kept on disk yet: leave it out",
                dir.display()
            );
            return Err(Failure::new(Exit::Usage, message));
        }
        if !self.dev {
            let message = "only --dev exists yet: a cluster of one, all in memory";
            return Err(Failure::new(Exit::Usage, message));
        }
        Ok(())
    }

    fn config(self) -> Config {
        Config {
            node: self.node,
            datacenter: self.datacenter,
            bind: self.bind,
            server_port: self.server_port,
            advertise: self.advertise,
            ..Config::default()
        }
    }
}

async fn serve(config: Config) -> Result<(), Failure> {
    // Before anything is promised: a signal that comes early counts.
    let mut signals = Signals::install()?;
    let agent = Agent::bind(config).await.map_err(|error| refuse(&error))?;
    tell(&greeting(&agent));
    let (drain, drained) = oneshot::channel::<()>();
    let serving = agent.run(async {
        // The sender is there as long as we are.
        let _signalled = drained.await;
    });
    let signalled = async {
        signals.next().await;
        tracing::info!("draining; one more signal ends it at once");
        // An error means that it has ended already.
        let _ended = drain.send(());
        signals.next().await;
    };
    tokio::select! {
        served = serving => tell(&farewell(served)),
        () = signalled => tell("ended at once"),
    }
    Ok(())
}

/// A server does not end because nobody reads its stdout any more.
fn tell(text: &str) {
    let _closed = output::line(text);
}

fn greeting(agent: &Agent) -> String {
    let mut text = format!("oneport {}\n", env!("CARGO_PKG_VERSION"));
    let config = agent.config();
    // Writing to a string cannot fail.
    let _ = writeln!(text, "listening on {}", agent.local_addr());
    let _ = writeln!(text, "node {}", config.node);
    let _ = writeln!(text, "datacenter {}", config.datacenter);
    let _ = write!(text, "{}", agent.port());
    text.trim_end().to_owned()
}

fn farewell(served: Served) -> String {
    match served.cut {
        0 => "drained".to_owned(),
        1 => "drained, 1 connection was cut at the deadline".to_owned(),
        cut => format!("drained, {cut} connections were cut at the deadline"),
    }
}

fn refuse(error: &StartError) -> Failure {
    let exit = match error {
        StartError::Listen(oneport::ListenError::Bind { .. }) => Exit::Unreachable,
        StartError::Config(config) => {
            // On the command line the field has the name of its flag.
            let flag = config.field.replace(['.', '_'], "-");
            let message = format!(
                "--{flag} is {}, but it must be {}",
                config.value, config.limit
            );
            return Failure::new(Exit::Usage, message);
        }
        _ => Exit::Usage,
    };
    Failure::caused(exit, error)
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Alone {
        #[command(flatten)]
        args: Args,
    }

    fn args(line: &str) -> Args {
        let words = std::iter::once("agent").chain(line.split_whitespace());
        Alone::try_parse_from(words).unwrap().args
    }

    #[test]
    fn flags_become_settings() {
        let line = "--dev --bind ::1 --server-port 0 --node n1 --datacenter dc2";
        let config = args(line).config();
        assert_eq!(config.listen_addr().to_string(), "[::1]:0");
        assert_eq!(
            (config.node.as_str(), config.datacenter.as_str()),
            ("n1", "dc2")
        );
        assert_eq!(args("--dev").config(), Config::default());
    }

    #[test]
    fn what_does_not_exist_yet_is_refused_by_name() {
        let refused = |line: &str| args(line).check().unwrap_err();
        let failure = refused("--dev --data-dir /var/lib/oneport");
        assert_eq!(failure.exit(), Exit::Usage);
        assert!(
            failure
                .message()
                .starts_with("--data-dir is /var/lib/oneport, but")
        );
        assert!(refused("").message().contains("--dev"));
    }

    #[tokio::test]
    async fn a_bad_setting_is_refused_by_its_flag() {
        let config = args("--dev --node a/b").config();
        let failure = refuse(&Agent::bind(config).await.unwrap_err());
        assert_eq!(failure.exit(), Exit::Usage);
        let text = r#"--node is "a/b", but it must be 1 to 128 of a-z, A-Z, 0-9, - and _"#;
        assert_eq!(failure.message(), text);
    }

    #[test]
    fn the_farewell_counts() {
        let cut = |cut| {
            farewell(Served {
                cut,
                ..Served::default()
            })
        };
        assert_eq!(cut(0), "drained");
        assert_eq!(cut(2), "drained, 2 connections were cut at the deadline");
    }
}
