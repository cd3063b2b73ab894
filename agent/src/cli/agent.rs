//! `oneport agent`.

use std::{fmt::Write, path::PathBuf};

use oneport::{Served, services::drpc::BindError};
use tokio::sync::oneshot;

use super::{
    exit::{Exit, Failure},
    logs::Logs,
    output, reload,
    reloader::{Reloader, tell_unused},
    signals::{Hangups, Signals},
    socket::default_socket,
    sources::{Gathered, Sources, by_flag},
};
use crate::{
    admin::AdminError,
    agent::{Agent, StartError},
    config::Config,
};

/// Run a server.
///
/// It speaks Consul's RPC on one port, and says on stdout where that is and what it serves there.
/// Logs go to stderr. Settings come from flags and from files; `oneport settings` lists them all.
/// SIGHUP makes it read its files again, as `oneport agent reload` does. The first SIGINT or SIGTERM
/// drains it: queries that wait are answered, connections have five seconds to finish, and the exit
/// code is 0. A second one ends it at once.
#[derive(Debug, clap::Args)]
#[command(
    args_conflicts_with_subcommands = true,
    after_help = "\
Examples:
  oneport agent --dev                               at 127.0.0.1:8300
  oneport agent --dev --server-port 0               at any free port, which is printed
  oneport agent --dev --config-file /etc/oneport.d  with the settings in that directory
  oneport agent --dev --bind 0.0.0.0 --advertise 10.0.0.7 --datacenter dc2 --log-json
  oneport agent reload                              read the files again"
)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    serve: Serve,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    Reload(reload::Args),
}

#[derive(Debug, clap::Args)]
struct Serve {
    /// Keep everything in memory, as a cluster of one. There is no other mode yet.
    #[arg(long)]
    dev: bool,
    /// Where to keep data. Not possible yet: --dev keeps it in memory.
    #[arg(long, value_name = "DIR")]
    data_dir: Option<PathBuf>,
    #[command(flatten)]
    sources: Sources,
}

impl Args {
    pub(super) fn run(self) -> Result<(), Failure> {
        match self.command {
            Some(Command::Reload(args)) => args.run(),
            None => self.serve.run(),
        }
    }
}

impl Serve {
    fn run(self) -> Result<(), Failure> {
        self.check()?;
        let Gathered {
            mut config,
            unused,
            socket_named,
        } = self.sources.gather()?;
        let logs = Logs::start(config.log_level, config.log_json);
        tell_unused(&unused);
        if !socket_named {
            config.admin_socket = default_socket(config.server_port);
        }
        let reloader = Reloader {
            sources: self.sources,
            logs,
        };
        tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|error| super::runtime(&error))?
            .block_on(serve(config, reloader))
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
}

async fn serve(config: Config, reloader: Reloader) -> Result<(), Failure> {
    // Before anything is promised: a signal that comes early counts.
    let mut signals = Signals::install()?;
    let mut hangups = Hangups::install()?;
    let mut agent = Agent::bind(config).await.map_err(|error| refuse(&error))?;
    let mut reloads = agent.reloads();
    let live = agent.live().clone();
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
    let reloading = async {
        loop {
            tokio::select! {
                () = hangups.next() => drop(reloader.reload(&live).await),
                asked = reloads.next() => asked.answer(reloader.reload(&live).await),
            }
        }
    };
    tokio::select! {
        served = serving => tell(&farewell(served)),
        () = signalled => tell("ended at once"),
        () = reloading => {}
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
    if let Some(path) = &config.admin_socket {
        let _ = writeln!(text, "admin socket {}", path.display());
    }
    if let Some(path) = &config.drpc.socket {
        let _ = writeln!(text, "drpc socket {}", path.display());
    }
    if let Some(addr) = agent.metrics_addr() {
        let _ = writeln!(text, "metrics at http://{addr}/metrics");
    }
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
        StartError::Listen(oneport::ListenError::Bind { .. })
        | StartError::Admin(AdminError::Bind { .. }) => Exit::Unreachable,
        StartError::Drpc(BindError::InUse { .. } | BindError::Io { .. }) => Exit::Unreachable,
        StartError::Config(config) => return Failure::new(Exit::Usage, by_flag(config)),
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
        args: Serve,
    }

    fn args(line: &str) -> Serve {
        let words = std::iter::once("agent").chain(line.split_whitespace());
        Alone::try_parse_from(words).unwrap().args
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
